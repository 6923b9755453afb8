"""A job: shapes that are to be described in shards, and the plan that all its workers share."""

import time
from dataclasses import asdict, dataclass
from typing import Any

from pcclust._names import counted
from pcclust._version import __version__
from pcclust.distributed.claims import claimed
from pcclust.distributed.describers import Describer
from pcclust.distributed.manifest import (
    MANIFEST,
    Manifest,
    boundaries,
    encode_manifest,
    parse_cut,
    read_manifest,
)
from pcclust.distributed.shard_file import SCHEMA
from pcclust.distributed.sources import Sources
from pcclust.distributed.store import Store

POLL = 0.5  # seconds between looks for a plan that another process makes


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is described, how, and where to; picklable, the same for all its workers.

    Attributes:
        out: the folder of the shards: a path, or what fsspec takes.
        sources: the shapes.
        describer: what makes features of them.
        cut: how many shards, or how large: see `parse_cut`.
        workers: processes of each worker that read files; 0 for none.
    """

    out: str
    sources: Sources
    describer: Describer
    cut: str
    workers: int = 0

    def about(self) -> dict[str, Any]:
        """Returns all by which it is told from another job."""
        return {
            "kind": self.describer.kind,
            "model": self.describer.model,
            "settings": self.describer.settings(),
            "sources": {**asdict(self.sources), "paths": list(self.sources.paths)},
            "cut": self.cut,
        }


def planned(job: Job, store: Store) -> Manifest:
    """Returns the plan of a job: the one that is there or, made once, a new one.

    Raises:
        FileNotFoundError: no shapes.
        ValueError: the folder is of another job, or of another version of pcclust.
        StoreError: a store that does not answer, or refuses.
    """
    while not store.has(MANIFEST):
        with claimed(store, MANIFEST) as renew:
            if renew is not None and not store.has(MANIFEST):
                store.publish(MANIFEST, _plan(job, store))
        if renew is None:
            time.sleep(POLL)
    manifest = read_manifest(store)
    _refuse_other_job(manifest, job)
    return manifest


def _plan(job: Job, store: Store) -> bytes:
    describer, ignore = job.describer, [] if store.local is None else [store.local]
    found = job.sources.pieces(describer.num_points, describer.seed, ignore)
    total = sum(piece.shapes for piece in found.pieces)
    starts = boundaries(total, describer.granularity, _how_many(job, total))
    about = {
        **job.about(),
        "class_names": list(found.class_names),
        "up_axis": found.up_axis() if describer.points else None,
        "schema": SCHEMA,
        "pcclust": __version__,
    }
    return encode_manifest(found.pieces, starts, about)


def _how_many(job: Job, total: int) -> int:
    """Returns how many shards are asked for."""
    cut = parse_cut(job.cut)
    if cut.shards is not None:
        return cut.shards
    assert cut.size is not None
    each = job.describer.bytes_per_shape()
    if each is None:
        raise ValueError(
            f"--shards {job.cut} needs --num-points, since shapes of a file's own points differ in "
            "size; or name a number of shards"
        )
    return max(1, -(-total * each // cut.size))


def _refuse_other_job(manifest: Manifest, job: Job) -> None:
    """Raises ValueError where the folder is the output of another job."""
    was, now = _flat(manifest.about), _flat(job.about())
    different = [name for name in now if was.get(name) != now[name]]
    if different:
        before = ", ".join(f"{name}={was.get(name)}" for name in different)
        wanted = ", ".join(f"{name}={now[name]}" for name in different)
        raise ValueError(
            f"{manifest.store.url} holds {counted(manifest.shards, 'shard')} of another job, with "
            f"{before}, where now {wanted} is asked for: use the same, or name another --out"
        )


def _flat(about: dict[str, Any]) -> dict[str, object]:
    """Returns what a job is told from others by, in the words of the command line."""
    return {
        "command": about["kind"],
        "weights": about["model"][:12],
        **about["settings"],
        **about["sources"],
        "shards": about["cut"],
    }
