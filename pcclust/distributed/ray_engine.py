"""Shards described by the workers of a Ray cluster.

Ray Data hands the numbers of shards to actors, which load the model once and read the rows of the
list of shapes that they need: so its blocks are bytes, whatever the shapes are. A shard is
published by the actor that made it, and what comes back is what became of it.
"""

import logging
import os
import re
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pcclust._extras import require
from pcclust._version import __version__
from pcclust.distributed.job import Job
from pcclust.distributed.shard_maker import ChangedError, Made, ShardMaker
from pcclust.distributed.store import StoreError
from pcclust.distributed.work import IN_A_ROW, Advance, Outcome, present

NEEDED_BY = "--engine ray"
ANSWER = 20.0  # seconds for the head of a cluster to answer


class ShardActor:
    """Makes the shards whose numbers it is given.

    Args:
        job: that they are of.
        folder: that paths are relative to, where it is there.
        version: of the pcclust that asks.
    """

    def __init__(self, job: Job, folder: str, version: str) -> None:
        self.job = job
        self.version = version
        self._maker: ShardMaker | None = None
        with suppress(OSError):
            os.chdir(folder)

    def __call__(self, rows: Mapping[str, Any]) -> dict[str, Any]:
        """Makes a shard; returns its number, its rows, and why it cannot be made, if so.

        Returns:
            ``shard`` and ``rows``; ``fault`` of this shard; ``error`` that all will meet.
        """
        shard = int(rows["shard"][0])
        made, fault, error = Made(shard, 0, []), "", ""
        try:
            made = self._make(shard)
        except (StoreError, ChangedError) as reason:
            fault = str(reason)
        except (ValueError, OSError, ImportError, MemoryError) as reason:
            error = str(reason) or type(reason).__name__
        told = {"shard": shard, "rows": made.rows, "fault": fault, "error": error}
        return {name: np.array([value]) for name, value in told.items()}

    def _make(self, shard: int) -> Made:
        if self.version != __version__:
            raise ValueError(
                f"a worker of Ray on {os.uname().nodename} has pcclust {__version__}, and "
                f"{self.version} asks it: install one version everywhere"
            )
        if self._maker is None:
            self._maker = ShardMaker(self.job)
        if self._maker.store.has(self._maker.name(shard)):  # by one that died before it could tell
            return Made(shard, self._maker.count(shard), [])
        return self._maker.make(shard)


def take_all_on_ray(
    maker: ShardMaker, shards: Sequence[int], advance: Advance, address: str | None, gpus: float
) -> Outcome:
    """Lets a Ray cluster make all shards that are not there.

    Args:
        maker: of this process, which makes none itself.
        shards: which are wanted.
        advance: is told of so many shapes that are done.
        address: of the cluster; one is started on this machine if None, or $RAY_ADDRESS asked.
        gpus: of each worker.

    Raises:
        ImportError: Ray is not installed; names the extra.
        ShardError: a shard that is there is damaged, or of another job, model or version.
        ValueError: what all workers meet, such as a model that fails or another pcclust there.
        ConnectionError: no cluster is there.
    """
    require("ray.data", NEEDED_BY)
    there = present(maker, shards)
    advance(sum(map(maker.count, there)))
    todo = [shard for shard in shards if shard not in there]
    outcome, in_a_row = Outcome(), 0
    if not todo:
        return outcome
    with _connected(address):
        for told in _results(maker, todo, gpus):
            if told["error"]:
                raise ValueError(told["error"])
            shard = int(told["shard"])
            if told["fault"]:
                outcome.faults[shard] = told["fault"]
                in_a_row += 1
            else:
                outcome.made.append(Made(shard, int(told["rows"]), []))
                in_a_row = 0
            advance(maker.count(shard))
            if in_a_row == IN_A_ROW:
                break
    return outcome


def _results(maker: ShardMaker, todo: Sequence[int], gpus: float) -> Iterator[dict[str, Any]]:
    """Yields what became of each shard, in any order."""
    import ray

    job = maker.job if not gpus else replace(maker.job, describer=maker.job.describer.on_gpu())
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # pcclust draws its own
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    # A block a shard: a worker that dies loses one, and Ray starts another worker for it.
    numbers = ray.data.from_items([{"shard": s} for s in todo], override_num_blocks=len(todo))
    results = numbers.map_batches(
        ShardActor,
        fn_constructor_args=(job, str(Path.cwd()), __version__),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=_workers(gpus, len(todo))),
        num_cpus=1,
        num_gpus=gpus or None,
    )
    try:
        yield from results.iter_rows()
    except ray.exceptions.RayError as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"Ray's workers failed ({lines[-1].strip()}): see that each can import pcclust "
            f"{__version__}, and Ray's own logs; the same command then goes on"
        ) from error


def _workers(gpus: float, most: int) -> int:
    """Returns how many workers the cluster has room for."""
    import ray

    has = ray.cluster_resources()
    room = has.get("CPU", 1) if not gpus else min(has.get("CPU", 1), has.get("GPU", 0) / gpus)
    if room < 1:
        raise ValueError(
            f"--gpus {gpus:g}: the Ray cluster has {has.get('GPU', 0):g} GPUs; ask for fewer"
        )
    return min(int(room), most)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connects to a cluster, and lets go of it; one that was connected before stays."""
    import ray

    if ray.is_initialized():
        yield
        return
    place = address or os.environ.get("RAY_ADDRESS")
    options: dict[str, Any] = {"address": place} if place else {"include_dashboard": False}
    try:
        if place and re.fullmatch(r"[^/]+:\d+", place):  # Ray itself tries for minutes
            host, _, port = place.rpartition(":")
            socket.create_connection((host, int(port)), timeout=ANSWER).close()
        ray.init(logging_level="ERROR", log_to_driver=False, **options)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"no Ray cluster is at {place or 'this machine'} ({reason}): start it with "
            "ray start --head, or leave --address out"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()
