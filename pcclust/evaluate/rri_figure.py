"""A picture of RRI: one shape upright and turned, coloured by its features, and the errors."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcclust.evaluate.point_view import PointView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, SubFigure

TURN, TILT = -0.6, 0.32  # the direction from which the interactive views begin, in radians
PERCENTILES = (1, 99)
INK, QUIET = "#16191d", "#59616b"
# Okabe and Ito's colours, told apart by colour-blind readers too.
SERIES = ("#0072b2", "#d55e00", "#009e73")
STYLE = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_report(
    views: Sequence[PointView],
    changes: Mapping[str, NDArray[np.float64]],
    rates: Mapping[str, float],
    *,
    title: str,
    footer: str,
) -> "Figure":
    """Draws views of the same channels in rows, and below them the errors and the speed.

    Args:
        views: one row each; their channels are the columns and share one range of colours.
        changes: per floating type, the largest change of each shape's features.
        rates: shapes per second of each tier.
        title: one line above everything.
        footer: one or two lines below, e.g. what it was measured with.

    Returns:
        The figure; ``figure.savefig(path)`` writes it.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'pcclust[report]'") from error
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(12, 8.4), dpi=110, layout="constrained")
        figure.suptitle(title, fontsize=14, fontweight="bold", x=0.012, ha="left")
        figure.supxlabel(footer, fontsize=8.5, color=QUIET, x=0.012, ha="left")
        top, bottom = figure.subfigures(2, 1, height_ratios=[2.1, 1])
        _draw_views(top, views)
        left, right = bottom.subplots(1, 2, width_ratios=[1.9, 1])
        _draw_changes(left, changes)
        _draw_rates(right, rates)
    return figure


def _draw_views(figure: "SubFigure", views: Sequence[PointView]) -> None:
    names = list(views[0].channels)
    axes = figure.subplots(len(views), len(names), squeeze=False)
    reach = max(float(np.linalg.norm(_centred(view), axis=1).max()) for view in views)
    for column, name in zip(axes.T, names, strict=True):
        limits = np.percentile([view.channels[name] for view in views], PERCENTILES)
        for view, axis in zip(views, column, strict=True):
            dots = _draw_points(axis, view, name, limits)
            axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axis.axis("off")
        column[0].set_title(name, fontsize=10.5)
        bar = figure.colorbar(dots, ax=list(column), location="bottom", aspect=20, pad=0.01)
        bar.outline.set_visible(False)
        bar.ax.locator_params(nbins=4)
        bar.ax.tick_params(length=2, labelsize=8.5)
    for view, axis in zip(views, axes[:, 0], strict=True):
        place = {"transform": axis.transAxes, "rotation": 90, "va": "center", "ha": "right"}
        axis.text(0, 0.5, view.title, fontsize=11, **place)


def _centred(view: PointView) -> NDArray[np.float64]:
    return view.points - view.points.mean(axis=0)


def _draw_points(
    axis: "Axes", view: PointView, name: str, limits: NDArray[np.float64]
) -> "PathCollection":
    """Draws points as the interactive views first show them, without perspective."""
    x, y, z = _centred(view).T
    behind = math.cos(TURN) * y - math.sin(TURN) * x
    depth = math.cos(TILT) * behind - math.sin(TILT) * z
    far_first = np.argsort(-depth)
    return axis.scatter(
        (math.cos(TURN) * x + math.sin(TURN) * y)[far_first],
        (math.cos(TILT) * z + math.sin(TILT) * behind)[far_first],
        c=view.channels[name][far_first],
        s=20000 / len(x),
        cmap=_readable_viridis(),
        vmin=limits[0],
        vmax=limits[1],
        linewidths=0,
    )


def _readable_viridis() -> "Colormap":
    """Returns viridis without the yellow that is lost on white."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(colormaps["viridis"](np.linspace(0, 0.92, 256)))


def _draw_changes(axis: "Axes", changes: Mapping[str, NDArray[np.float64]]) -> None:
    """Draws how many shapes changed how much; exact zeros stand at the left edge."""
    smallest = min(float(c[c > 0].min(initial=1)) for c in changes.values()) / 2
    largest = max(float(c.max()) for c in changes.values())
    edges = np.geomspace(smallest, max(largest, 2 * smallest) * 2, 90)
    for (dtype, change), colour in zip(changes.items(), SERIES, strict=False):
        axis.hist(np.maximum(change, smallest), edges, color=colour, alpha=0.85, label=dtype)
    axis.set(xscale="log", ylabel="shapes")
    axis.set_xlabel("largest change of a feature (rad or radii), per shape, over all rotations")
    axis.legend(frameon=False, loc="upper center")


def _draw_rates(axis: "Axes", rates: Mapping[str, float]) -> None:
    bars = axis.barh(list(rates), list(rates.values()), color=SERIES[0], height=0.5)
    axis.bar_label(bars, [f" {rate:,.3g}" for rate in rates.values()], color=INK)
    axis.set_xlabel("shapes per second")
    axis.set_xlim(0, 1.2 * max(rates.values()))
    axis.margins(y=0.4)
    axis.invert_yaxis()
