"""Interactive 3-D views of coloured points, in the sections of a self-contained HTML page.

The views need no network and no library: drag to turn, wheel to zoom, choose the channel that
colours the points, read a point's value under the pointer. They draw with WebGL 2, or with the 2-D
canvas where there is none. `pcclust.report.page` makes pages of them.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pcclust.report.templates import Markup, script_json

Values = ArrayLike | torch.Tensor


class PointView:
    """One 3-D view: points, and one or several scalar channels that can colour them.

    Args:
        points: ``(N, 3)`` finite coordinates, z upwards; the view centres them on their mean.
        values: ``(N,)`` finite values of the one channel, or a mapping from the name of a channel
            (with its unit, e.g. ``"θ (rad)"``) to its values.
        title: shown above the view, and read out by screen readers.
        group: a heading over this view and those of the same group after it.

    Raises:
        ValueError: wrong shapes, no points, NaN or inf.

    Example:
        >>> view = PointView([[0, 0, 0], [1, 0, 0]], {"height (m)": [0.5, 2]}, title="pole")
        >>> list(view.channels), view.points.shape
        (['height (m)'], (2, 3))
    """

    def __init__(
        self,
        points: Values,
        values: Values | Mapping[str, Values],
        title: str = "",
        group: str = "",
    ) -> None:
        self.points = _finite("points", points)
        if self.points.ndim != 2 or self.points.shape[1] != 3 or not len(self.points):
            raise ValueError(f"points must be (N, 3) with N >= 1, got {self.points.shape}")
        named = values if isinstance(values, Mapping) else {"value": values}
        self.channels = {name: _finite(f"channel {name!r}", v) for name, v in named.items()}
        for name, channel in self.channels.items():
            if channel.shape != (len(self.points),):
                raise ValueError(
                    f"channel {name!r} has shape {channel.shape}, points need ({len(self.points)},)"
                )
        if not self.channels:
            raise ValueError("a view needs at least one channel of values")
        self.title = title
        self.group = group


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of a page: a heading, some HTML, and views that share channels and scales.

    All views of a section have one length scale and, per channel, one range of colours, so that
    they can be compared by eye.

    Args:
        title: the heading.
        html: shown below the heading: markup, or a text, which is escaped.
        views: the views; each must have the same channels.
        linked: whether the views show the same points, so that one camera turns them all and the
            point under the pointer is marked, and its value shown, in all of them.
        notes: a sentence per channel, shown below the views while it colours them.
        percentiles: the colours span these percentiles of a channel's values; values beyond have
            the colour of the end, and the legend says ≤ and ≥.
        view_width: the least width of a view in CSS pixels; smaller ones make a contact sheet.
        wide: whether it takes the whole width of a desktop, which two others share; views do.
    """

    title: str
    html: Markup | str = ""
    views: Sequence[PointView] = ()
    linked: bool = False
    notes: Mapping[str, str] = field(default_factory=dict)
    percentiles: tuple[float, float] = (0, 100)
    view_width: int = 300
    wide: bool = False


def viewer_data(section: Section) -> Markup:
    """Returns what the script of the views needs for a section, as the content of its script tag.

    Args:
        section: its views share their channels; nothing is needed where there are none.

    Raises:
        ValueError: the views of the section have different channels.
    """
    if not section.views:
        return Markup("")
    names = list(section.views[0].channels)
    for view in section.views:
        if list(view.channels) != names:
            raise ValueError(
                f"the views of section {section.title!r} must share their channels: "
                f"{names} against {list(view.channels)}"
            )
    return script_json(_data(section))


def _data(section: Section) -> dict[str, object]:
    """Returns what the script needs; arrays travel as base64 of little-endian float32."""
    centred = [view.points - view.points.mean(axis=0) for view in section.views]
    radius = max(float(np.linalg.norm(points, axis=1).max()) for points in centred)
    return {
        "linked": section.linked,
        "radius": radius or 1.0,
        "channels": [
            {"name": name, **_range(section, name), "note": section.notes.get(name, "")}
            for name in section.views[0].channels
        ],
        "views": [
            {
                "title": view.title,
                "points": _base64(points),
                "values": [_base64(channel) for channel in view.channels.values()],
            }
            for view, points in zip(section.views, centred, strict=True)
        ],
    }


def _range(section: Section, name: str) -> dict[str, list[float] | list[bool]]:
    """Returns the values that have the end colours, and whether others lie beyond them."""
    values = np.concatenate([view.channels[name] for view in section.views])
    low, high = np.percentile(values, section.percentiles)
    beyond = [bool(values.min() < low), bool(values.max() > high)]
    return {"range": [float(low), float(high)], "beyond": beyond}


def _base64(array: NDArray[np.float64]) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode("ascii")


def _finite(what: str, values: Values) -> NDArray[np.float64]:
    """Returns an array of float64, or says which entry is NaN or inf."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    array = np.asarray(values, dtype=np.float64)
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        raise ValueError(f"{what} hold {array[tuple(wrong[0])]} at index {wrong[0].tolist()}")
    return array
