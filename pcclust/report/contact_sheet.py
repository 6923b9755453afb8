"""Contact sheets: the first shapes of each class, as a picture or as a page of 3-D views."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pcclust._extras import require
from pcclust._files import whole_file, write_whole
from pcclust.data import PointDataset
from pcclust.data.transforms import UnitSphere, stand_on_z
from pcclust.report.page import render_page
from pcclust.report.point_view import PointView, Section

# The view from the front, a little from the right and from above.
AZIMUTH = math.radians(35)
ELEVATION = math.radians(20)
CELL = 2.2  # of a picture, in radii of a shape
UNLABELLED_ROW = 8


@dataclass(frozen=True)
class Row:
    """The shapes of one class.

    Attributes:
        title: the class and how many shapes it has; empty without labels.
        names: of the shapes shown.
        points: ``(S, P, 3)`` in the unit sphere, z upwards.
    """

    title: str
    names: list[str]
    points: np.ndarray


@dataclass(frozen=True)
class Sheet:
    """What is shown.

    Attributes:
        title: the dataset and how many shapes it has.
        rows: a class each.
    """

    title: str
    rows: list[Row]


def sheet_of(dataset: PointDataset, name: str, per_class: int) -> Sheet:
    """Chooses the first shapes of each class, or of a dataset without labels.

    Raises:
        ValueError: ``per_class`` is not positive.
    """
    if per_class < 1:
        raise ValueError(f"per_class={per_class} must be at least 1")
    title = f"{name}: {len(dataset):,} shapes of {dataset.num_points:,} points"
    if dataset.labels is None:
        chosen = torch.arange(min(len(dataset), per_class * UNLABELLED_ROW))
        return Sheet(
            title, [_row(dataset, part, "") for part in torch.split(chosen, UNLABELLED_ROW)]
        )
    rows = []
    for label, (class_name, count) in enumerate(dataset.counts().items()):
        chosen = (dataset.labels == label).nonzero().flatten()[:per_class]
        if count:
            rows.append(_row(dataset, chosen, f"{class_name} ({count:,})"))
    return Sheet(f"{title}, {len(rows)} classes", rows)


def write_png(sheet: Sheet, out: Path) -> None:
    """Draws the sheet as a picture: rows of shapes, nearer points darker.

    Raises:
        ImportError: matplotlib is not there.
        OSError: the file cannot be written.
    """
    require("matplotlib.figure", "a .png, unlike a .html,")
    from matplotlib.figure import Figure

    columns = max(len(row.names) for row in sheet.rows)
    figure = Figure(figsize=(2.2 + 1.3 * columns, 0.6 + 1.3 * len(sheet.rows)), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    left = 2.2 / 1.3 * CELL
    for y, row in enumerate(sheet.rows):
        axes.text(-left + 0.3, -y * CELL, row.title.replace(" (", "\n("), va="center", fontsize=11)
        for x, points in enumerate(row.points):
            seen = project(points)
            across, up, depth = seen[seen[:, 2].argsort()].T  # near points cover far ones
            axes.scatter(across + x * CELL, up - y * CELL, c=-depth, s=1.6, cmap="viridis", lw=0)
    axes.text(-left + 0.3, 0.75 * CELL, sheet.title, fontsize=13, va="center")
    axes.set(
        xlim=(-left, (columns - 0.5) * CELL), ylim=((0.5 - len(sheet.rows)) * CELL, CELL), aspect=1
    )
    axes.axis("off")
    with whole_file(out) as file:
        figure.savefig(file, format="png", facecolor="white")


def write_html(sheet: Sheet, out: Path) -> None:
    """Writes the sheet as a self-contained page of views to turn.

    Raises:
        OSError: the file cannot be written.
    """
    views = [
        PointView(points, {"height (radius = 1)": points[:, 2]}, Path(name).stem, row.title)
        for row in sheet.rows
        for name, points in zip(row.names, row.points, strict=True)
    ]
    section = Section(title="Shapes", views=views, view_width=148)
    page = render_page(sheet.title, [section], lead="Drag a shape to turn it, wheel to zoom.")
    write_whole(out, page.encode())


def project(points: np.ndarray) -> np.ndarray:
    """Returns (across, up, towards the viewer) of points ``(P, 3)`` whose z is up."""
    x, y, z = points.T
    across = x * math.cos(AZIMUTH) + y * math.sin(AZIMUTH)
    away = -x * math.sin(AZIMUTH) + y * math.cos(AZIMUTH)
    up = z * math.cos(ELEVATION) + away * math.sin(ELEVATION)
    towards = z * math.sin(ELEVATION) - away * math.cos(ELEVATION)
    return np.stack([across, up, towards], axis=1)


def _row(dataset: PointDataset, chosen: torch.Tensor, title: str) -> Row:
    points = stand_on_z(UnitSphere()(dataset.batch(chosen)), dataset.up_axis or "z")
    return Row(title, [dataset.names[i] for i in chosen.tolist()], points.numpy())
