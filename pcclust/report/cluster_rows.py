"""Clusters on a page: each a row of turning shapes, and what is known of its members."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.ops import farthest_point_sample

SCRIPT = "cluster_gallery"  # and style, of pages with rows
POINTS = 256  # of a shape on the page
ROW, LEAST_IN_ROW, SHOWN = 9, 4, 1200  # shapes of a row at most, at least, and of all rows
CLASSES_SHOWN = 3


@dataclass(frozen=True)
class Shapes:
    """What is known of the shapes besides their features.

    Attributes:
        names: N names.
        points: ``(N, P, 3)`` with z upwards where that is known, or None: then rows are of names.
        labels: ``(N,)`` int64 classes, or None.
        class_names: of the labels.
    """

    names: Sequence[str]
    points: Tensor | None = None
    labels: NDArray[np.int64] | None = None
    class_names: Sequence[str] = ()

    def class_of(self, label: int) -> str:
        """Returns the name of a class, "class 7" where it has none."""
        return self.class_names[label] if label < len(self.class_names) else f"class {label}"


class Turned(NamedTuple):
    """The same shapes turned, to be shown below them.

    Attributes:
        points: ``(N, P, 3)``.
        clusters: ``(N,)`` int64, where each of them comes to lie, in the numbers of the report.
    """

    points: Tensor
    clusters: NDArray[np.int64]


@dataclass(frozen=True)
class ClusterRow:
    """A row: its cluster's number in the report, where it stands, its shapes.

    Attributes:
        cluster: its number in the report.
        rank: its place on the page, from 0.
        shapes: its members, from the most central to the outermost.
        shown: how many of them are shown.
    """

    cluster: int
    rank: int
    shapes: NDArray[np.int64]
    shown: int


def cluster_rows(report: ClusteringReport) -> list[ClusterRow]:
    """Returns the clusters of the first run of a report's first method, the largest first.

    Args:
        report: of `pcclust.evaluate.clustering`.

    Example:
        >>> import numpy as np
        >>> from pcclust.evaluate.clustering import clustering
        >>> features = np.array([[0.0], [9], [8.5], [9.5], [0.2]])
        >>> rows = cluster_rows(clustering(features, n_clusters=2, seeds=1))
        >>> [row.shapes.tolist() for row in rows]
        [[1, 2, 3], [0, 4]]
    """
    clusters = report.methods[0].runs[0].clusters
    found, sizes = np.unique(clusters, return_counts=True)
    most = min(ROW, max(LEAST_IN_ROW, SHOWN // len(found)))
    rows = []
    for rank, at in enumerate(np.argsort(-sizes, kind="stable")):
        members = np.flatnonzero(clusters == found[at])
        space = report.space[members].astype(np.float64)
        away = np.linalg.norm(space - space.mean(axis=0), axis=1)
        central_first = members[np.argsort(away, kind="stable")]
        rows.append(ClusterRow(int(found[at]), rank, central_first, min(most, len(members))))
    return rows


def render_rows(rows: Sequence[ClusterRow], shapes: Shapes, turned: Turned | None = None) -> str:
    """Returns the markup of rows, for a page with `SCRIPT` and `rows_script`.

    Args:
        rows: of `cluster_rows`.
        shapes: of the same report.
        turned: the same shapes turned, to be shown below them.
    """
    hidden = sum(len(row.shapes) - row.shown for row in rows)
    lines = ["The largest first, in each the most central shapes first."]
    if hidden:
        lines.append(f"{hidden:,} shapes are not shown.")
    button = ""
    if shapes.points is not None:
        lines.append("Colour is the distance from the centroid. Drag a shape to turn it.")
        button = '<p><button type="button" id="turning">Stop turning</button></p>'
    moved = None if turned is None else _moved(rows, turned)
    drawn = "\n".join(_row(row, shapes, moved) for row in rows)
    script = "<noscript>Shapes are drawn by JavaScript, which is part of this page.</noscript>"
    return f"<p>{' '.join(lines)}</p>{button}{script}\n{drawn}"


def rows_script(
    shapes: Shapes,
    kept: NDArray[np.int64],
    more: Mapping[str, Any] | None = None,
    turned: Turned | None = None,
) -> str:
    """Returns the data that `SCRIPT` draws, as markup.

    Args:
        shapes: as for `render_rows`.
        kept: the shapes that are shown, in ascending order.
        more: what else it needs.
        turned: as for `render_rows`.
    """
    data: dict[str, Any] = {"indices": kept.tolist(), **(more or {})}
    if shapes.points is not None:
        thinned = _thinned(shapes.points[torch.from_numpy(kept)])
        data |= {"count": thinned.shape[1], "points": base64_of(thinned.numpy())}
    if turned is not None:
        data["turned"] = base64_of(_thinned(turned.points[torch.from_numpy(kept)]).numpy())
    # "<" never stands in a script's text, so that no name can end it.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="gallery-data">{text}</script>'


def base64_of(values: NDArray[np.floating]) -> str:
    """Returns numbers in [-1, 1] as little-endian 16-bit integers."""
    return base64.b64encode(np.rint(values * 32767).astype("<i2").tobytes()).decode("ascii")


def _moved(rows: Sequence[ClusterRow], turned: Turned) -> dict[int, int]:
    """Returns the number of the cluster that each shape comes to which leaves its own."""
    numbers = {row.cluster: row.rank + 1 for row in rows}
    empty = len(rows) + 1  # a cluster without upright shapes has no row
    return {
        int(i): numbers.get(int(turned.clusters[i]), empty)
        for row in rows
        for i in row.shapes[turned.clusters[row.shapes] != row.cluster]
    }


def _row(row: ClusterRow, shapes: Shapes, moved: Mapping[int, int] | None) -> str:
    number, size = row.rank + 1, len(row.shapes)
    facts = [f"{size:,} shape{'s' * (size > 1)}"]
    if shapes.labels is not None:
        facts.append(_mixture(shapes, row.shapes))
    if moved is not None:
        staying = sum(int(i) not in moved for i in row.shapes)
        facts.append(f"{staying:,} of {size:,} stay when turned")
    if row.shown < size:
        facts.append(f"{size - row.shown:,} not shown")
    heading = f'<span data-number="{row.rank}"></span>Cluster {number}'
    figures = "".join(_figure(shapes, int(i), moved) for i in row.shapes[: row.shown])
    return (
        f'<article class="cluster" id="cluster-{number}"><h3>{heading}'
        f"<small>{escape(' · '.join(facts))}</small></h3>"
        f'<div class="row">{figures}</div></article>'
    )


def _mixture(shapes: Shapes, members: NDArray[np.int64]) -> str:
    """Says which classes a cluster has; the first share is its purity."""
    assert shapes.labels is not None
    classes, counts = np.unique(shapes.labels[members], return_counts=True)
    parts = [
        f"{100 * counts[at] / len(members):.0f} % {shapes.class_of(int(classes[at]))}"
        for at in np.argsort(-counts, kind="stable")[:CLASSES_SHOWN]
    ]
    others = len(classes) - CLASSES_SHOWN
    return ", ".join(parts) + (f" and {others} more classes" if others > 0 else "")


def _figure(shapes: Shapes, index: int, moved: Mapping[int, int] | None) -> str:
    name = escape(shapes.names[index])
    short = escape(PurePosixPath(shapes.names[index]).name)
    if moved and index in moved:
        name += f", turned in cluster {moved[index]}"
        short = f"<strong>→ {moved[index]}</strong> {short}"
    caption = f'<figcaption title="{name}">{short}</figcaption>'
    if shapes.points is None:
        return f"<figure>{caption}</figure>"
    canvases = f'<canvas role="img" aria-label="{name}, turning"></canvas>'
    if moved is not None:
        canvases += f'<canvas role="img" class="turned" aria-label="{name}, turned"></canvas>'
    return f'<figure data-index="{index}">{canvases}{caption}</figure>'


def _thinned(points: Tensor) -> Tensor:
    """Returns at most 256 points of each shape, about its centroid, the farthest at radius 1."""
    count = min(POINTS, points.shape[1])
    chosen = farthest_point_sample(points, count)
    centred = points - points.mean(dim=1, keepdim=True)
    kept = centred.gather(1, chosen[..., None].expand(-1, -1, 3))
    radius = kept.norm(dim=2).amax(dim=1)
    return kept / torch.where(radius > 0, radius, 1)[:, None, None]
