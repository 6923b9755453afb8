"""The picture of cost against the size of a problem."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from benchmarks.report import Outcome, size
from benchmarks.suite import OURS, Growth
from benchmarks.timing import Measured, Result


def draw(grown: Sequence[Outcome], threads: int, path: Path) -> None:
    """Draws time and peak memory against the size, suite below suite, and writes a PNG.

    Args:
        grown: what suites whose cases are one problem at many sizes gave.
        threads: everybody's, unless an outcome is of a run before.
        path: of the picture.
    """
    figure = Figure(figsize=(11, 4.6 * len(grown)), layout="constrained")
    rows = figure.subfigures(len(grown), 1, squeeze=False, hspace=0.06)[:, 0]
    for row, outcome in zip(rows, grown, strict=True):
        _draw_suite(row, outcome, threads)
    unfinished = path.with_suffix(".part.png")
    figure.savefig(unfinished, dpi=120)
    unfinished.replace(path)


def _draw_suite(figure: SubFigure, outcome: Outcome, threads: int) -> None:
    growth, results = outcome.suite.growth, outcome.results
    assert growth is not None  # its suite would not be drawn
    left, right = figure.subplots(1, 2)
    threads = outcome.before.get("threads", threads)
    _lines(left, growth, results, lambda measured: measured.median)
    left.set(title=f"Time, {threads} threads", ylabel="seconds (median)")
    _lines(right, growth, results, lambda measured: (measured.peak_bytes or 0) / 2**20 or None)
    _draw_yardstick(right, growth, results)
    right.set(title="Peak memory, output included", ylabel="MiB")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel=growth.of)
        axes.grid(which="major", color="0.9")
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(growth.title)


def _lines(
    axes: Axes,
    growth: Growth,
    results: Sequence[Result],
    value: Callable[[Measured], float | None],
) -> None:
    names = dict.fromkeys(name for result in results for name in result.measured)
    for name in names:
        rows = [(size(r, growth), value(r.measured[name])) for r in results if name in r.measured]
        known = [(x, y) for x, y in rows if y is not None]
        if known:
            style: dict[str, Any] = {"linewidth": 1.2}
            if name == OURS:
                style = {"linewidth": 2.6, "color": "black"}
            axes.plot(*zip(*known, strict=True), marker="o", markersize=3.5, label=name, **style)


def _draw_yardstick(axes: Axes, growth: Growth, results: Sequence[Result]) -> None:
    label = f"the {growth.of} alone" if growth.yardstick == "input" else "pcclust's output alone"
    axes.plot(
        [size(result, growth) for result in results],
        [getattr(result, f"{growth.yardstick}_bytes") / 2**20 for result in results],
        color="0.6",
        linestyle=":",
        label=label,
    )
