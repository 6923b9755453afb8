"""The text of docs/scale.md, with the numbers in it."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.machine import processor
from benchmarks.scale import (
    AMONG_THEMSELVES,
    CLOUD_BYTES,
    EPOCHS,
    ITERATIONS,
    LISTED,
    REQUESTS_A_FILE,
    REQUESTS_A_SHARD,
    SHARD_BYTES,
    TRAINING_BATCH,
    Machines,
    Stage,
)
from benchmarks.scale_kmeans_page import TRIED, kmeans_part
from benchmarks.scale_rates import POINTS, WIDTH, K, Rates, flops_of_a_vector
from benchmarks.scale_workers import Fleet, Run
from pcclust._names import counted
from pcclust.distributed.claims import EXPIRES

# What one would change where a stage takes longest, by its name and by what bounds it.
REMEDIES = {
    ("list the files", "cores"): "files of many shapes: 10,000 clouds in one HDF5 file are a row",
    ("read clouds", "requests"): "files of many shapes, or more prefixes: a store answers so many "
    "requests for each prefix",
    ("read clouds", "network"): "machines nearer the store, or clouds of 16-bit integers",
    ("read clouds", "cores"): "HDF5 files of many clouds, which are copied and not parsed",
    ("describe", "cores"): "`--precision bfloat16` where processors multiply in it; then GPUs",
    ("write shards", "network"): "a narrower encoder",
    ("write shards", "requests"): "larger shards",
    (
        "k-means",
        "cores",
    ): "whitening to 256 numbers, an eighth of the products, and a sample "
    "of the rows for all rounds but the last",
    (
        "k-means",
        "network",
    ): "keeping vectors in memory, or on the machines' disks, between rounds",
    ("train", "cores"): "GPUs, and a sample of the shapes",
    ("train", "network"): "larger batches, hence fewer all-reduces, and gradients of 16 bits",
}
WORDS = {"cores": "its computing", "network": "the network", "requests": "the store's requests"}
UNITS = ((86400 * 365.25, "years"), (86400, "days"), (3600, "h"), (60, "min"), (1, "s"))


def page(
    rates: Rates,
    sizes: Sequence[tuple[Machines, Sequence[Stage]]],
    runs: Sequence[tuple[str, Fleet, Run]],
    seed: int,
    kmeans: Mapping[str, Any],
) -> str:
    """Returns the page."""
    parts = [_begin(rates)]
    for machines, found in sizes:
        parts.append(_size(machines, found))
    parts += [_memory(rates), _workers(runs, seed), kmeans_part(kmeans) + TRIED]
    return "\n".join(parts)


def _begin(rates: Rates) -> str:
    flops = flops_of_a_vector()
    measured = [
        ("read a cloud, NPY of 1,024 points", rates.cloud, f"{CLOUD_BYTES / 1e3:.1f} kB"),
        ("read a mesh, OBJ, and sample it", rates.mesh, f"{rates.mesh_bytes / 1e3:.1f} kB"),
        ("RRI of its points, k = 20", rates.rri, ""),
        ("vector by the encoder that comes with pcclust", rates.vector, f"{flops / 1e9:.2f} Gflop"),
        ("write it, float16, into a shard", rates.write, f"{rates.row_bytes / 1e3:.2f} kB"),
        ("read it from there", rates.read, f"{rates.row_bytes / 1e3:.2f} kB"),
        ("train that encoder, an epoch, two cores", rates.train, f"{3 * flops / 1e9:.2f} Gflop"),
    ]
    rows = "\n".join(f"| {what} | {1 / each:,.0f} | {more} |" for what, each, more in measured)
    return f"""# A million, a hundred million, ten thousand million shapes

Written by `python -m benchmarks.scale`: rates of one core are measured, in processor time and
with one thread, on {processor()}; the rest is computed from them and from
what is assumed.

| measured | shapes/s | each |
| --- | ---: | ---: |
{rows}

k-means multiplies and adds {2 / rates.assign / 1e9:,.0f} Gflop/s a core at K = {K:,}. Writing
the list of shapes takes {1e6 * rates.plan:.0f} µs and {rates.plan_bytes:.0f} bytes a file. The rate
of training is that of the weights that come with pcclust, by their card. No GPU was measured.

**Assumed**: machines of 16 or 64 such cores, none of which slows another; 25 Gbit/s a machine to
the store and to the others (a disk of 3 GB/s takes as much); a store that answers 5,500 requests a
second, as S3 states for one prefix, and names {LISTED:,} files in an answer; clouds of {POINTS:,}
points; vectors of {WIDTH:,} float16 in shards of {SHARD_BYTES / 1e6:.0f} MB;
{REQUESTS_A_FILE} requests a file and {REQUESTS_A_SHARD} a shard;
k-means of {K:,} clusters in {ITERATIONS} rounds, which read the vectors from the store
each time and end with an all-reduce; training on all shapes for {EPOCHS} epochs, in
batches of {TRAINING_BATCH:,}. One process lists the files."""


def _size(machines: Machines, found: Sequence[Stage]) -> str:
    rows = "\n".join(map(_row, found))
    vectors = [stage for stage in found if stage.name not in AMONG_THEMSELVES]
    first, whole = (max(some, key=lambda stage: stage.seconds) for some in (vectors, found))
    told = f"From files to vectors, **{first.name}** takes longest, by {WORDS[first.bound]}. "
    told += f"What one would change: {_remedy(first)}."
    if whole is not first:
        told += f"\nOf all, **{whole.name}** does, by {WORDS[whole.bound]}. "
        told += f"What one would change: {_remedy(whole)}."
    holds = "one cloud" if machines.container == 1 else f"{machines.container:,} clouds"
    return f"""
## {machines.shapes:,.0f} shapes
{counted(machines.machines, "machine")} of {machines.cores} cores; files of {holds}.

| stage | bytes | flops | messages | on one core | here | bound by |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
{rows}

{told}"""


def _remedy(stage: Stage) -> str:
    return REMEDIES.get((stage.name, stage.bound), "more machines")


def _row(stage: Stage) -> str:
    amounts = [(stage.bytes, "B"), (stage.flops, "flop"), (stage.messages, "")]
    cells = [stage.name, *(_amount(*amount) for amount in amounts), _time(stage.core_seconds)]
    return f"| {' | '.join(cells)} | **{_time(stage.seconds)}** | {stage.bound} |"


def _memory(rates: Rates) -> str:
    each = rates.plan_memory
    return f"""
## What does not grow, and what does
A worker holds a shard and the model, whatever the job is, and reads those rows of the list of
shapes that its shard is of. Whoever writes the list **holds all of it**, {each:,.0f} bytes a file:
{each * 1e8 / 1e9:,.0f} GB for 100,000,000 files.
Beyond ten million, files should hold many shapes each."""


def _workers(runs: Sequence[tuple[str, Fleet, Run]], seed: int) -> str:
    rows = "\n".join(_run(*run) for run in runs)
    _, fleet, calm = runs[0]
    return f"""
## A thousand workers that die
A simulation of {fleet.workers:,} workers that describe {fleet.shapes:,.0f} shapes,
{fleet.rate:.0f} a second each on the mean (their speeds differ by {100 * fleet.unlike:.0f} %), by
the rules of the code: shards as the list cuts them, and claims in a store, which hold for
{EXPIRES / 60:.0f} minutes beyond a death. A worker takes {fleet.start:.0f} s to start, and another
comes {fleet.back:.0f} s after a death. Lives are exponential, drawn from seed
{seed}. Shares are of all workers' time.

| workers | shards | deaths | taken | lost with a worker | away | nothing to take | beyond ideal |
| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
{rows}

Ideal is {_time(calm.ideal)}: no start, no death, no wait for the last shard. What dies with
a worker is little. What costs is the end, when the last shards are claimed by the dead and all
others have nothing to take: hence small shards, a hundred a worker, and claims that do not hold
long. On a disk a claim dies with its process."""


def _run(name: str, fleet: Fleet, run: Run) -> str:
    whole = fleet.workers * run.taken
    shares = [f"{100 * part / whole:.2f} %" for part in (run.undone, run.away, run.idle)]
    cells = [name, f"{fleet.shards:,}", f"{run.deaths:,}", _time(run.taken), *shares]
    return f"| {' | '.join(cells)} | {100 * (run.taken / run.ideal - 1):.1f} % |"


def _amount(value: float, unit: str) -> str:
    if not value:
        return "–"
    for exponent, letter in ((18, "E"), (15, "P"), (12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if value >= 10**exponent:
            return f"{value / 10**exponent:,.3g} {letter}{unit}"
    return f"{value:,.3g} {unit}".strip()


def _time(seconds: float) -> str:
    for size, unit in UNITS:
        if seconds >= size:
            return f"{seconds / size:,.3g} {unit}"
    return f"{1000 * seconds:,.3g} ms"
