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
    return _Simulation(fleet, seed).run()


class Event(NamedTuple):
    """What happens next: the least comes first.

    Attributes:
        time: when.
        what: `BEGUN`, `FINISHED`, `DIED` or `FREED`.
        worker: to whom.
        size: shapes of the shard.
        begun: when the worker took it.
    """

    time: float
    what: int
    worker: int
    size: float
    begun: float


class _Simulation:
    def __init__(self, fleet: Fleet, seed: int) -> None:
        self.fleet, self.draw, self.now = fleet, random.Random(seed), 0.0
        starts = boundaries(int(fleet.shapes), BATCH, fleet.shards)
        self.free = deque(float(end - first) for first, end in pairwise(starts))
        self.rate = [
            fleet.rate * math.exp(self.draw.gauss(0, fleet.unlike)) for _ in range(fleet.workers)
        ]
        self.ends = [math.inf] * fleet.workers
        self.waiting: dict[int, float] = {}
        self.events: list[Event] = []
        self.deaths, self.undone, self.away, self.idle = 0, 0.0, 0.0, 0.0

    def run(self) -> Run:
        """Lets it happen."""
        left = len(self.free)
        for worker in range(self.fleet.workers):
            self.come(worker, self.fleet.start)
        while left:
            event = heapq.heappop(self.events)
            self.now = event.time
            if event.what == FREED:
                self.free.append(event.size)
                self.call_one()
            elif event.what == DIED:
                self.die(event)
            else:
                left -= event.what == FINISHED
                self.begin(event.worker)
        self.idle += sum(self.now - since for since in self.waiting.values())
        ideal = self.fleet.shapes / sum(self.rate)
        return Run(ideal, self.now, self.deaths, self.undone, self.away, self.idle)

    def life(self) -> float:
        """Draws how long a worker lives."""
        hours = self.fleet.life
        return math.inf if hours is None else self.draw.expovariate(1 / (3600 * hours))

    def come(self, worker: int, after: float) -> None:
        """Lets a worker start."""
        self.away += after
        self.ends[worker] = self.now + after + self.life()
        heapq.heappush(self.events, Event(self.now + after, BEGUN, worker, 0.0, self.now))

    def begin(self, worker: int) -> None:
        """Lets a worker take a shard, or wait for one."""
        if not self.free:
            self.waiting[worker] = self.now
            return
        if self.ends[worker] <= self.now:  # it died as it had nothing to do, and another came
            self.ends[worker] = self.now + self.life()
        size = self.free.popleft()
        done, end = self.now + size / self.rate[worker], self.ends[worker]
        what = FINISHED if done <= end else DIED
        heapq.heappush(self.events, Event(min(done, end), what, worker, size, self.now))

    def die(self, event: Event) -> None:
        """Loses what a worker has made of a shard, and the shard until its claim expires."""
        self.deaths += 1
        self.undone += self.now - event.begun
        free = self.now + self.fleet.claim
        heapq.heappush(self.events, Event(free, FREED, event.worker, event.size, self.now))
        self.come(event.worker, self.fleet.back + self.fleet.start)

    def call_one(self) -> None:
        """Lets the one that waits longest take a shard."""
        if self.waiting:
            worker = next(iter(self.waiting))
            self.idle += self.now - self.waiting.pop(worker)
            self.begin(worker)
