"""The part of docs/scale.md about k-means as it was measured, and about what never ran."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pcclust._names import counted

LIBRARIES = 300e6  # bytes that a process takes which has imported all it needs


def kmeans_part(known: Mapping[str, Any]) -> str:
    """Returns the part; what was not measured is left out.

    Args:
        known: what `benchmarks.scale_kmeans` keeps.
    """
    tell = {"fits": _fits, "processes": _processes, "memory": _memory}
    told = [tell[what](known[what]) for what in tell if what in known]
    if not told:
        return ""
    lines = "\n".join(f"- {text}" for text in told)
    where = known[next(what for what in tell if what in known)]["processor"]
    return f"""
## k-means, measured
`python -m benchmarks.scale_kmeans fits`, `processes` and `memory`, on {where}:
{lines}
"""


def _fits(found: Mapping[str, Any]) -> str:
    seeds = found["seeds"]
    ours, todays, known = ([seed["iterations"][i] for seed in seeds] for i in range(3))
    return (
        f"**Whole fits** of {found['rows']:,} × {found['width']}, K = {found['clusters']}, one "
        f"thread, {counted(len(seeds), 'seed')}: {_spread(seeds, 'speed')} times as fast as "
        f"`pcclust.KMeans` of the same rows, and {_spread(seeds, 'scikit-learn')} times as fast as "
        f"scikit-learn, in processor time. All stop by one rule, and what differs is how many "
        f"iterations that takes: {_range(ours)}, beside {_range(todays)} and {_range(known)}. "
        f"Inertia beside scikit-learn's: {_percents(seeds, 'inertia')}. Fits that settle in few "
        "iterations take up to twice as long as `pcclust.KMeans`: k-means‖ passes over the rows "
        "nine times before the first."
    )


def _processes(found: Mapping[str, Any]) -> str:
    one, two = found["one process, two threads"], found["two processes"]
    return (
        f"**Two processes** of one thread on two cores take {two:.2f} s for {found['rows']:,} × "
        f"{found['width']}, K = {found['clusters']}, {found['iterations']} iterations, with the "
        f"choice of centers; one process of two threads takes {one:.2f} s."
    )


def _memory(found: Mapping[str, Any]) -> str:
    peak, data = found["peak"], found["data"]
    return (
        f"**Memory**: {found['rows']:,} × {found['width']} float16 are {data / 2**20:,.0f} MiB. "
        f"The command takes {peak / 2**20:,.0f} MiB at its peak, {100 * peak / data:.0f} % of "
        f"them; {LIBRARIES / 1e6:.0f} MB are libraries. It reads them in every pass, "
        f"{found['seconds']:.0f} s of one core in all ({counted(found['iterations'], 'iteration')} "
        f"of K = {found['clusters']})."
    )


def _spread(seeds: Sequence[Mapping[str, float]], name: str) -> str:
    values = [seed[name] for seed in seeds]
    return f"{median(values):.2f} (median; {min(values):.2f} to {max(values):.2f})"


def _percents(seeds: Sequence[Mapping[str, float]], name: str) -> str:
    values = [100 * seed[name] for seed in seeds]
    return f"{median(values):+.2f} % (median; {min(values):+.2f} to {max(values):+.2f})"


def _range(values: Sequence[int]) -> str:
    return f"{min(values)} to {max(values)}"


TRIED = """
## What ran, and what never did
Each of these ran on **one machine**: 2 and 4 processes side by side, whose bytes are those of
one; torchrun with 2 and 4 processes over gloo; the tasks of an array (`--shard 17/400`) as
plain commands; Ray with two workers, one of which was killed; S3's protocol, with a server (moto)
on the machine itself, for reading, writing, k-means and workers that were killed. At random
moments were killed 20 workers of `embed`, 20 commands `embed`, 3 more that wrote to S3, and of
k-means under torchrun 25 times a worker, the coordinator, or it with all workers: the files were
the same to the byte every time. (Workers whose coordinator dies while they start wait for it,
minutes long, and then end; they hold nothing.)

100,000 clusters were made in two levels of 500,000 rows of 8 numbers, in 42 s of one core and 418
MiB.

**Never ran**: Slurm, more than one machine, a provider's object store with its distances and
limits, GCS and HDFS, NCCL and several GPUs, and more than 5,000,000 rows. What this page says of
those is computed.
"""
