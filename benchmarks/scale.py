"""Writes docs/scale.md: what a million, a hundred million and ten thousand million shapes cost.

``python -m benchmarks.scale`` measures one core, computes the rest and writes the page.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.machine import processor
from benchmarks.scale_rates import POINTS, WIDTH, K, Rates, flops_of_a_vector, measured
from benchmarks.scale_workers import Fleet, Run, simulate
from pcclust._files import write_whole
from pcclust.distributed.claims import EXPIRES

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
MEASURED = Path(__file__).with_name("scale_kmeans.json")  # by benchmarks.scale_kmeans
MESHES = Path(__file__).parents[1] / "data" / "meshes"
ITERATIONS = 20
EPOCHS = 10
CLOUD_BYTES = 12 * POINTS + 128
PARAMETERS = 2_123_392
TRAINING_BATCH = 1024
SHARD_BYTES = 64e6
# Requests of a store for a shard: is it there, its claim (look, write, rename, read again), is it
# there now, the shard (write, look, rename), and the claim given up.
REQUESTS_A_SHARD = 14
LISTED = 1000  # files that a store names in an answer
LIST = "list the files"  # by one process
AMONG_THEMSELVES = ("k-means", "train")  # their messages are all-reduces
REQUESTS_A_FILE = 2  # what it is, and its content


@dataclass(frozen=True)
class Machines:
    """What is assumed of the machines.

    Attributes:
        shapes: of the job.
        machines: how many.
        cores: of each.
        container: shapes of a file.
        network: bytes a second of each, to the store and to each other.
        requests: that the store answers, a second, for all.
    """

    shapes: float
    machines: int
    cores: int
    container: int
    network: float = 25e9 / 8
    requests: float = 5500.0

    @property
    def all_cores(self) -> int:
        """The cores of all machines."""
        return self.machines * self.cores


SIZES = (
    Machines(1e6, 1, 16, 1),
    Machines(1e8, 16, 64, 1),
    Machines(1e10, 256, 64, 10_000),
)


class Stage(NamedTuple):
    """A stage of the work.

    Attributes:
        name: what is done.
        bytes: that are moved over the network.
        flops: multiplications and additions.
        messages: requests of a store, or all-reduces.
        core_seconds: of computing.
        seconds: that it takes on the machines, by what is slowest.
        bound: what that is.
    """

    name: str
    bytes: float
    flops: float
    messages: float
    core_seconds: float
    seconds: float
    bound: str


class Work(NamedTuple):
    """What a stage has to do: the first five of `Stage`."""

    name: str
    bytes: float
    flops: float
    messages: float
    core_seconds: float


def stages(machines: Machines, rates: Rates) -> list[Stage]:
    """Returns what each stage costs."""
    n, files = machines.shapes, machines.shapes / machines.container
    shards = max(1.0, n * rates.row_bytes / SHARD_BYTES)
    product = 2.0 * n * WIDTH * K * ITERATIONS
    sums = K * (WIDTH + 2) * 8.0 * ITERATIONS
    steps = n * EPOCHS / TRAINING_BATCH
    rounds, others, vector = float(ITERATIONS), machines.machines - 1, flops_of_a_vector()
    files_asked, shards_asked = files * REQUESTS_A_FILE, shards * REQUESTS_A_SHARD
    rows, assigning = n * rates.row_bytes, product / 2 * rates.assign + n * rates.read * rounds
    gradients = 8.0 * PARAMETERS * steps * others  # twice over the network, as rings do
    done = [
        Work(LIST, files * rates.plan_bytes, 0.0, files / LISTED, files * rates.plan),
        Work("read clouds", n * CLOUD_BYTES, 0.0, files_asked, n * rates.cloud),
        Work("describe", 0.0, n * vector, 0.0, n * rates.vector),
        Work("write shards", rows, 0.0, shards_asked, n * rates.write),
        Work("k-means", rows * rounds + sums * others, product, rounds, assigning),
        Work(
            "train",
            n * CLOUD_BYTES * EPOCHS + gradients,
            3 * EPOCHS * n * vector,
            steps,
            EPOCHS * n * rates.train * 2,
        ),
    ]
    return [_on(machines, work) for work in done]


def _on(machines: Machines, work: Work) -> Stage:
    """Returns a stage with the time of what is slowest on some machines."""
    count, cores = (1, 1) if work.name == LIST else (machines.machines, machines.all_cores)
    times = {
        "cores": work.core_seconds / cores,
        "network": work.bytes / (machines.network * count),
        "requests": 0.0 if work.name in AMONG_THEMSELVES else work.messages / machines.requests,
    }
    bound = max(times, key=lambda what: times[what])
    return Stage(*work, times[bound], bound)


FLEETS = (
    ("nobody dies", None, 10_000, EXPIRES),
    ("each dies once a day", 24.0, 10_000, EXPIRES),
    ("each, every four hours", 4.0, 10_000, EXPIRES),
    ("each, every hour", 1.0, 10_000, EXPIRES),
    ("the same, claims of ten minutes", 1.0, 10_000, 600.0),
    ("the same, fewer shards", 1.0, 2_000, EXPIRES),
    ("the same, more shards", 1.0, 100_000, EXPIRES),
)


def simulated(rates: Rates, seed: int) -> list[tuple[str, Fleet, Run]]:
    """Returns what 1,000 workers on 1e8 shapes do."""
    rate = 1 / (rates.vector + rates.cloud + rates.write)
    fleets = [
        (name, Fleet(workers=1000, shapes=1e8, shards=shards, rate=rate, life=life, claim=claim))
        for name, life, shards, claim in FLEETS
    ]
    return [(name, fleet, simulate(fleet, seed)) for name, fleet in fleets]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures, computes and writes the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=PAGE)
    parser.add_argument("--seed", type=int, default=0, help="of the deaths of workers")
    parser.add_argument("--rates", type=Path, help="a file of rates; written where it is not there")
    given = parser.parse_args(arguments)
    if given.rates and given.rates.exists():
        rates = Rates(**json.loads(given.rates.read_text()))
    else:
        rates = measured(MESHES)
        if given.rates:
            write_whole(given.rates, json.dumps(rates._asdict()).encode())
    from benchmarks.scale_page import page

    runs = simulated(rates, given.seed)
    sizes = [(size, stages(size, rates)) for size in SIZES]
    kmeans = json.loads(MEASURED.read_text()) if MEASURED.exists() else {}
    text = page(rates, sizes, runs, given.seed, kmeans)
    write_whole(given.out, text.encode())
    print(f"{given.out}: written on {time.strftime('%Y-%m-%d')}, {processor()}")


if __name__ == "__main__":
    main()
