"""A job of k-means in a folder: begun, gone on with after any interruption, and written out."""

import hashlib
import io
import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pcclust._files import write_whole
from pcclust._lock import LOCK, locked_folder
from pcclust._version import __version__
from pcclust.distributed.group import Group
from pcclust.distributed.kmeans import Found, Settings, State, check_count, kmeans
from pcclust.distributed.label_files import write_labels
from pcclust.distributed.rows import Rows, open_rows
from pcclust.distributed.share import Share
from pcclust.distributed.two_levels import MANY, two_levels
from pcclust.training.checkpoint import CheckpointFile

CLUSTERS, CENTERS, LABELS, FINE = "clusters.json", "centers.npy", "labels", "fine"
PAUSE = 1.0  # seconds between two checkpoints, at least


@dataclass(frozen=True)
class Told:
    """How it goes, to whoever shows it.

    Attributes:
        began: is told in words what is clustered.
        advanced: is told of rows of this process that a pass is done with.
        moved: is told the number of iterations.
    """

    began: Callable[[str], None] = lambda text: None
    advanced: Callable[[int], None] = lambda rows: None
    moved: Callable[[int], None] = lambda iteration: None


def cluster_folder(
    source: str, out: Path, settings: Settings, group: Group, told: Told | None = None
) -> dict[str, Any]:
    """Clusters features into ``out``, or goes on with that, in all processes of a group.

    The folder, which all processes must see, gets ``centers.npy`` ``(K, C)`` float32, ``labels``
    with a file for each shard, and at last ``clusters.json``. Until then ``checkpoint.pt`` has
    what is needed to go on: whoever starts the same job again, with any number of processes, gets
    the same bytes.

    Args:
        source: see `open_rows`.
        out: the folder.
        settings: how many clusters, and so on.
        group: the processes.
        told: how it goes.

    Returns:
        What ``clusters.json`` holds.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: processes that do not agree, rows that cannot be clustered, a folder that holds
            something else.
        OSError: what cannot be read or written.
        OutputLockedError: another job writes into the folder.
        PeerError: any of these in another process.
    """
    told = told or Told()
    group.check_same("runs pcclust", __version__, "install one version on all machines")
    group.check_same("is asked for", str(settings), "give all processes the same options")
    group.check_same("computes on", group.device.type, "give all processes the same --device")
    rows = group.together(lambda: open_rows(source))
    digest = rows.digest()
    same = "see to it that all machines read the same files"
    group.check_same("sees features with the hash", digest[:12], same)
    group.together(lambda: check_count(rows.count, settings.clusters))
    with ExitStack() as stack:
        group.together(lambda: _enter(stack, out, group))
        job = _Job(out, rows, settings, group, hashlib.sha256(f"{digest}{settings}".encode()))
        finished = job.finished()
        if finished is None:
            told.began(f"{source}: {rows.count:,} features of {rows.width:,}, {rows.dtype}")
            finished = job.run(told)
    return finished


def _enter(stack: ExitStack, out: Path, group: Group) -> None:
    """Locks the folder in the first process."""
    if group.first:
        stack.enter_context(locked_folder(out))


class _Job:
    def __init__(
        self,
        out: Path,
        rows: Rows,
        settings: Settings,
        group: Group,
        digest: Any,  # noqa: ANN401
    ) -> None:
        self.out, self.rows, self.settings, self.group = out, rows, settings, group
        self.digest: str = digest.hexdigest()
        self.checkpoint = CheckpointFile(out)
        self.saved_at = 0.0

    def finished(self) -> dict[str, Any] | None:
        """Returns the result of this very job, if it is there.

        Raises:
            ValueError: the result of another job is.
        """

        def look() -> bytes:
            if not (self.out / LOCK).exists():
                raise ValueError(
                    f"process {self.group.index} does not see {self.out} of process 0: give a "
                    "folder as --out that all machines share"
                )
            path = self.out / CLUSTERS
            return path.read_bytes() if self.group.first and path.exists() else b""

        content = self.group.bytes_of_first(self.group.together(look))
        if not content:
            return None
        result: dict[str, Any] = json.loads(content)
        self.group.together(lambda: self._refuse_other(result.get("job")))
        return result

    def run(self, told: Told) -> dict[str, Any]:
        """Clusters, and writes what is found."""
        state = self._restored()
        share = Share(self.rows, self.group, told.advanced)

        def keep(state: State) -> None:
            told.moved(state.iteration)
            self._save(state)

        found = self._found(share, state, keep)
        self.group.together(lambda: (self.out / LABELS).mkdir(exist_ok=True))
        write_labels(share, self.out / LABELS)
        return self.group.together(lambda: self._write(found))

    def _found(self, share: Share, state: State | None, keep: Callable[[State], None]) -> Found:
        if self.settings.clusters < MANY:
            return kmeans(share, self.settings, state, keep)
        folder = self.out / FINE
        self.group.together(lambda: folder.mkdir(exist_ok=True))
        return two_levels(share, self.settings, folder, state, keep)

    def _restored(self) -> State | None:
        def read() -> bytes:
            if not self.group.first or not self.checkpoint.exists():
                return b""
            buffer = io.BytesIO()
            torch.save(self.checkpoint.read(), buffer)
            return buffer.getvalue()

        content = self.group.bytes_of_first(self.group.together(read))
        if not content:
            return None
        known = torch.load(io.BytesIO(content), weights_only=True)
        job = known.pop("job", None)
        self.group.together(lambda: self._refuse_other(job))
        rounds = [numbers.to(self.group.device) for numbers in known.pop("rounds")]
        return State(rounds, **known)

    def _save(self, state: State) -> None:
        now = time.monotonic()
        if not self.group.first or now - self.saved_at < PAUSE:
            return
        centers = None if state.centers is None else state.centers.cpu()
        rounds = [numbers.cpu() for numbers in state.rounds]
        known = {"iteration": state.iteration, "done": state.done}
        self.checkpoint.write({"job": self.digest, "rounds": rounds, "centers": centers, **known})
        self.saved_at = now

    def _write(self, found: Found) -> dict[str, Any]:
        result = {
            "features": self.rows.place,
            "rows": self.rows.count,
            **asdict(self.settings),
            "iterations": found.iterations,
            "inertia": found.inertia,
            "sizes": found.sizes.tolist(),
            "pcclust": __version__,
            "job": self.digest,
        }
        if self.group.first:
            buffer = io.BytesIO()
            np.save(buffer, found.centers.cpu().numpy())
            write_whole(self.out / CENTERS, buffer.getvalue())
            write_whole(self.out / CLUSTERS, json.dumps(result, indent=1).encode() + b"\n")
            for left in (self.checkpoint.path, self.checkpoint.previous):
                left.unlink(missing_ok=True)
            shutil.rmtree(self.out / FINE, ignore_errors=True)
        return result

    def _refuse_other(self, job: object) -> None:
        if job != self.digest:
            raise ValueError(
                f"{self.out} holds clusters of other features, or made with other options: give "
                "another --out"
            )
