"""A picture of RRI: one shape upright and turned, coloured by its features, and the errors."""

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pcclust.report.figure import INK, QUIET, SERIES, page_style
from pcclust.report.point_view import PointView

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colors import Colormap
    from matplotlib.figure import Figure, FigureBase

TURN, TILT = -0.6, 0.32  # the direction from which the interactive views begin, in radians
PERCENTILES = (1, 99)


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
        rates: shapes per second of each backend.
        title: one line above everything.
        footer: one or two lines below, e.g. what it was measured with.

    Returns:
        The figure; ``figure.savefig(path)`` writes it.

    Raises:
        ImportError: matplotlib is not installed.

    Example:
        >>> import numpy as np
        >>> from pcclust.report.point_view import PointView
        >>> view = PointView(np.eye(3), {"height: z": [0, 0, 1]}, "triangle")
        >>> changes = {"float32": np.array([1e-6, 2e-6])}
        >>> figure = draw_report([view], changes, {"torch": 30.0}, title="One", footer="by hand")
        >>> len(figure.subfigs)
        2
    """
    with page_style():
        figure = _titled(title, height=8.4)
        figure.supxlabel(footer, fontsize=8.5, color=QUIET, x=0.012, ha="left")
        top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[2.1, 1]).flat
        _draw_views(top, views)
        left, right = bottom.subplots(1, 2, width_ratios=[1.9, 1])
        _draw_changes(left, changes)
        _draw_rates(right, rates)
    return figure


def draw_views(views: Sequence[PointView], *, title: str) -> "Figure":
    """Draws views of the same channels in rows, one column a channel.

    Args:
        views: as for `draw_report`.
        title: one line above them.

    Returns:
        The figure.

    Raises:
        ImportError: matplotlib is not installed.

    Example:
        >>> import numpy as np
        >>> from pcclust.report.point_view import PointView
        >>> view = PointView(np.eye(3), {"height: z": [0, 0, 1], "x": [1, 0, 0]}, "triangle")
        >>> len(draw_views([view, view], title="Twice").axes)  # and two colour bars
        6
    """
    with page_style():
        figure = _titled(title, height=5.8)
        _draw_views(figure, views)
    return figure


def png(figure: "Figure") -> bytes:
    """Returns a figure as PNG of 256 colours, which are enough for it and save two thirds.

    Args:
        figure: of `draw_report` or `draw_views`.

    Example:
        >>> import numpy as np
        >>> from pcclust.report.point_view import PointView
        >>> view = PointView(np.eye(3), {"height: z": [0, 0, 1]}, "triangle")
        >>> png(draw_views([view], title="One"))[1:4]
        b'PNG'
    """
    from PIL import Image  # comes with matplotlib

    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png")
    Image.open(whole).convert("RGB").quantize(256).save(small, format="png", optimize=True)
    return small.getvalue()


def _titled(title: str, height: float) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, height), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=14, fontweight="bold", x=0.012, ha="left")
    return figure


def _draw_views(figure: "FigureBase", views: Sequence[PointView]) -> None:
    names = list(views[0].channels)
    axes = figure.subplots(len(views), len(names), squeeze=False)
    reach = 1.05 * max(float(abs(_projected(view)[:, :2]).max()) for view in views)
    for column, name in zip(axes.T, names, strict=True):
        limits = np.percentile([view.channels[name] for view in views], PERCENTILES)
        for view, axis in zip(views, column, strict=True):
            dots = _draw_points(axis, view, name, limits)
            axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal")
            axis.axis("off")
        title = name.replace(": ", "\n").replace(" (", "\n(")
        column[0].set_title(title, fontsize=10.5)
        bar = figure.colorbar(
            dots, ax=list(column), location="bottom", aspect=18, pad=0.01, shrink=0.85
        )
        bar.outline.set_visible(False)
        bar.ax.locator_params(nbins=4)
        bar.ax.tick_params(length=2, labelsize=8.5)
    for view, axis in zip(views, axes[:, 0], strict=True):
        place = {"transform": axis.transAxes, "rotation": 90, "va": "center", "ha": "right"}
        axis.text(0, 0.5, view.title, fontsize=11, **place)


def _projected(view: PointView) -> NDArray[np.float64]:
    """Returns right, up and depth, as the interactive views first look, without perspective."""
    x, y, z = (view.points - view.points.mean(axis=0)).T
    behind = math.cos(TURN) * y - math.sin(TURN) * x
    right = math.cos(TURN) * x + math.sin(TURN) * y
    up = math.cos(TILT) * z + math.sin(TILT) * behind
    return np.stack([right, up, math.cos(TILT) * behind - math.sin(TILT) * z], axis=1)


def _draw_points(
    axis: "Axes", view: PointView, name: str, limits: NDArray[np.float64]
) -> "PathCollection":
    right, up, depth = _projected(view).T
    far_first = np.argsort(-depth)
    return axis.scatter(
        right[far_first],
        up[far_first],
        c=view.channels[name][far_first],
        s=24000 / len(depth),
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
    edges = np.geomspace(smallest, max(largest, 2 * smallest) * 2, 90).tolist()
    for (dtype, change), colour in zip(changes.items(), SERIES, strict=False):
        axis.hist(np.maximum(change, smallest), edges, color=colour, alpha=0.85, label=dtype)
    axis.set(xscale="log", ylabel="shapes")
    axis.set_xlabel("largest change of a feature (rad or radii), per shape, over all rotations")
    axis.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _draw_rates(axis: "Axes", rates: Mapping[str, float]) -> None:
    bars = axis.barh(list(rates), list(rates.values()), color=SERIES[2], height=0.45)
    axis.bar_label(bars, [f" {shown(rate)}" for rate in rates.values()], color=INK)
    axis.set(xlabel="shapes per second", xlim=(0, 1.25 * max(rates.values())), ylim=(1.6, -0.6))
    axis.locator_params(axis="x", nbins=4)
    axis.xaxis.set_major_formatter("{x:,.0f}")


def shown(rate: float) -> str:
    """Writes a rate with three digits, in plain notation."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.3g}"
