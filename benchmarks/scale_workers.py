"""A simulation of many workers that take shards, as `pcclust.distributed.work` does, and die."""

import heapq
import math
import random
from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from pcclust.distributed.claims import EXPIRES
from pcclust.distributed.manifest import boundaries

BATCH = 32
BEGUN, FINISHED, DIED, FREED = range(4)


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """Who works on what.

    Attributes:
        workers: how many.
        shapes: of the job.
        shards: that the list of shapes is cut into.
        rate: shapes a second of a worker.
        unlike: standard deviation of the logarithm of a worker's speed.
        start: seconds until a worker has loaded the model.
        life: mean hours until a worker dies; infinite if None.
        back: seconds until another is in its place.
        claim: seconds that a claim holds beyond a death.
    """

    workers: int
    shapes: float
    shards: int
    rate: float
    unlike: float = 0.1
    start: float = 20.0
    life: float | None = None
    back: float = 120.0
    claim: float = EXPIRES


class Run(NamedTuple):
    """What a simulation shows, in seconds.

    Attributes:
        ideal: of the job, if all worked all the time.
        taken: until the last shard is there.
        deaths: of workers.
        undone: worker's time whose shard was lost with it.
        away: worker's time of starts.
        idle: worker's time with nothing to take, at the end.
    """

    ideal: float
    taken: float
    deaths: int
    undone: float
    away: float
    idle: float


def simulate(fleet: Fleet, seed: int = 0) -> Run:
    """Lets workers take shards until all are there.

    Lives are exponential. A shard whose worker died is free again when the claim expires, as in a
    store; on a disk it is at once.
    """
    draw = random.Random(seed)
    starts = boundaries(int(fleet.shapes), BATCH, fleet.shards)
    free = deque(float(end - first) for first, end in pairwise(starts))
    left, now = len(free), 0.0
    speed = [math.exp(draw.gauss(0, fleet.unlike)) for _ in range(fleet.workers)]
    fastest = sum(speed) * fleet.rate
    waiting: dict[int, float] = {}
    # When, what, who; of a shard how many shapes, and when it was begun.
    events: list[tuple[float, int, int, float, float]] = []
    ends = [math.inf] * fleet.workers
    deaths, undone, away, idle = 0, 0.0, 0.0, 0.0

    def life() -> float:
        return math.inf if fleet.life is None else draw.expovariate(1 / (3600 * fleet.life))

    def begin(worker: int) -> None:
        """Lets a worker take a shard, or wait for one."""
        if not free:
            waiting[worker] = now
            return
        if ends[worker] <= now:  # it died as it had nothing to do, and another came
            ends[worker] = now + life()
        size = free.popleft()
        done = now + size / (fleet.rate * speed[worker])
        what = FINISHED if done <= ends[worker] else DIED
        at = min(done, max(ends[worker], now))
        heapq.heappush(events, (at, what, worker, size, now))

    def come(worker: int, after: float) -> None:
        """Lets a worker start."""
        nonlocal away
        away += after
        ends[worker] = now + after + life()
        heapq.heappush(events, (now + after, BEGUN, worker, 0.0, now))

    for worker in range(fleet.workers):
        come(worker, fleet.start)
    while left:
        now, what, worker, size, begun = heapq.heappop(events)
        if what == FREED:
            free.append(size)
            if waiting:
                other = next(iter(waiting))
                idle += now - waiting.pop(other)
                begin(other)
        elif what == DIED:
            deaths += 1
            undone += now - begun
            heapq.heappush(events, (now + fleet.claim, FREED, worker, size, now))
            come(worker, fleet.back + fleet.start)
        else:
            left -= what == FINISHED
            begin(worker)
    idle += sum(now - since for since in waiting.values())
    return Run(fleet.shapes / fastest, now, deaths, undone, away, idle)
