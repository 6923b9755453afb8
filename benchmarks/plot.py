"""The picture of cost against the number of points."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.growth import NEIGHBORS, points
from benchmarks.suite import OURS
from benchmarks.timing import Measured, Result


def draw(results: Sequence[Result], threads: int, path: Path) -> None:
    """Draws time and peak memory against N, one line per contestant, and writes a PNG."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _lines(left, results, lambda measured: measured.median)
    left.set(title=f"Time, {threads} threads", ylabel="seconds (median)")
    _lines(right, results, lambda measured: (measured.peak_bytes or 0) / 2**20 or None)
    right.plot(
        [points(result) for result in results],
        [result.output_bytes / 2**20 for result in results],
        color="0.6",
        linestyle=":",
        label="pcclust's output alone",
    )
    right.set(title="Peak memory, output included", ylabel="MiB")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="points")
        axes.grid(which="major", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(f"The {NEIGHBORS} nearest neighbours of every point of one cloud")
    unfinished = path.with_suffix(".part.png")
    figure.savefig(unfinished, dpi=120)
    unfinished.replace(path)


def _lines(
    axes: Axes, results: Sequence[Result], value: Callable[[Measured], float | None]
) -> None:
    names = dict.fromkeys(name for result in results for name in result.measured)
    for name in names:
        rows = [(points(r), value(r.measured[name])) for r in results if name in r.measured]
        known = [(x, y) for x, y in rows if y is not None]
        if known:
            style = {"linewidth": 2.6, "color": "black"} if name == OURS else {"linewidth": 1.2}
            axes.plot(*zip(*known, strict=True), marker="o", markersize=3.5, label=name, **style)
