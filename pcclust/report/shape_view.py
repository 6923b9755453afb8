"""One page of any shapes, coloured by what is known of their points."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.data.cloud_folder import point_scalars
from pcclust.ops import rri
from pcclust.report.page import render_page
from pcclust.report.point_view import PointView, Section
from pcclust.report.templates import paragraphs

# What can colour points, and what its scale is called.
RRI_CHANNELS = {
    "r": "r: distance from the centroid",
    "neighbor_r_mean": "rₖ: mean of the neighbours' r",
    "theta_mean": "θ: mean to neighbours (rad)",
    "phi_max": "φ: largest gap (rad)",
}
CHANNELS = {**RRI_CHANNELS, "height": "height", "label": "label", "cluster": "cluster"}
PERCENTILES = (1, 99)
NAMED = 15  # labels in one note at most


@dataclass(frozen=True, eq=False)
class ViewedShape:
    """One shape of the page.

    Attributes:
        name: the heading of its view.
        points: ``(N, 3)``, z upwards, at least two.
        features: ``(N, k, 4)`` RRI of the points; computed if None.
        label: its class, -1 where not known.
        cluster: its cluster, -1 where not known.
    """

    name: str
    points: NDArray[np.floating]
    features: NDArray[np.floating] | None = None
    label: int = -1
    cluster: int = -1


def shape_page(
    title: str,
    shapes: Sequence[ViewedShape],
    *,
    color: str = "r",
    k: int = 20,
    class_names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> str:
    """Returns a self-contained page with a view of each shape.

    Args:
        title: of the page.
        shapes: at least one.
        color: a key of `CHANNELS`: what colours the points at first.
        k: neighbours of a point, where features are computed; fewer in smaller shapes.
        class_names: the name of each label.
        notes: what is to be said about the shapes, a sentence each.

    Raises:
        ValueError: no shapes, or they have nothing of the name ``color``.

    Example:
        >>> import numpy as np
        >>> from pcclust.report.shape_view import ViewedShape, shape_page
        >>> page = shape_page("Noise", [ViewedShape("a cloud", np.random.rand(50, 3))])
        >>> page.startswith("<!doctype html>")
        True
    """
    if not shapes:
        raise ValueError("there are no shapes to show")
    channels = _offered(shapes, color)
    described = [_described(shape, k) for shape in shapes]
    if len(shapes) > 1:
        described = [_in_radii(shape) for shape in described]
        notes = [*notes, "Each shape is shown in units of its radius."]
    views = [_view(shape, channels, class_names) for shape in described]
    section = Section(
        title="Shapes",
        html=paragraphs(*notes),
        views=views,
        notes={CHANNELS["label"]: _legend(shapes, class_names)},
        percentiles=PERCENTILES if color not in ("label", "cluster") else (0, 100),
        view_width=520 if len(views) == 1 else 260,
    )
    return render_page(title, [section], lead="Drag a shape to turn it, click and wheel to zoom.")


def _offered(shapes: Sequence[ViewedShape], color: str) -> list[str]:
    """Returns the channels that these shapes have, the one that is asked for first."""
    known = [*RRI_CHANNELS, "height"]
    known += [name for name in ("label", "cluster") if any(getattr(s, name) >= 0 for s in shapes)]
    if color not in known:
        raise ValueError(f"color {color!r} is none of {', '.join(known)}, which these shapes have")
    return [color, *(name for name in known if name != color)]


def _view(shape: ViewedShape, channels: Sequence[str], class_names: Sequence[str]) -> PointView:
    assert shape.features is not None
    values = {
        **point_scalars(shape.features),
        "height": shape.points[:, 2],
        "label": np.full(len(shape.points), shape.label),
        "cluster": np.full(len(shape.points), shape.cluster),
    }
    named = class_names[shape.label] if 0 <= shape.label < len(class_names) else ""
    cluster = f"cluster {shape.cluster}" if shape.cluster >= 0 else ""
    title = ", ".join(part for part in (shape.name, named, cluster) if part)
    return PointView(shape.points, {CHANNELS[name]: values[name] for name in channels}, title)


def _described(shape: ViewedShape, k: int) -> ViewedShape:
    """Returns the shape with the features of its points."""
    if shape.features is not None:
        return shape
    if len(shape.points) < 2:
        raise ValueError(f"{shape.name} has a single point, which has no neighbours")
    exact = torch.from_numpy(np.asarray(shape.points, np.float64))
    return replace(shape, features=rri(exact, min(k, len(exact) - 1)).numpy())


def _in_radii(shape: ViewedShape) -> ViewedShape:
    """Returns the shape with all lengths in units of its radius."""
    assert shape.features is not None
    centred = shape.points - shape.points.mean(axis=0, dtype=np.float64)
    radius = float(np.linalg.norm(centred, axis=1).max()) or 1.0
    units = np.array([radius, radius, 1.0, 1.0])
    return replace(shape, points=centred / radius, features=shape.features / units)


def _legend(shapes: Sequence[ViewedShape], class_names: Sequence[str]) -> str:
    """Says which number stands for which class."""
    labels = sorted({shape.label for shape in shapes if 0 <= shape.label < len(class_names)})
    told = [f"{label} {class_names[label]}" for label in labels[:NAMED]]
    return ", ".join(told) + (", …" if len(labels) > NAMED else "")
