"""Clusters on a page: each a row of turning shapes, and what is known of its members."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust._names import counted
from pcclust.data import PointDataset
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.ops import farthest_point_sample
from pcclust.report.templates import Markup, render, script_json

SCRIPT = "cluster_gallery"  # and style, of pages with rows
POINTS = 256  # of a shape on the page
ROW, LEAST_IN_ROW, SHOWN = 9, 4, 1200  # shapes of a row at most, at least, and of all rows
CLASSES_SHOWN = 3


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


def render_rows(
    rows: Sequence[ClusterRow], shapes: PointDataset, turned: Turned | None = None
) -> Markup:
    """Returns the markup of rows, for a page with `SCRIPT` and `rows_script`.

    Args:
        rows: of `cluster_rows`.
        shapes: of the same report, with z upwards where that is known; without points, rows are
            of names.
        turned: the same shapes turned, to be shown below them.
    """
    moved = None if turned is None else _moved(rows, turned)
    return render(
        "cluster_rows",
        rows=[
            {"rank": row.rank, "facts": _facts(row, shapes, moved), "figures": figures}
            for row in rows
            for figures in [[_figure(shapes, i, moved or {}) for i in row.shapes[: row.shown]]]
        ],
        hidden=sum(len(row.shapes) - row.shown for row in rows),
        drawn=shapes.num_points > 0,
        turned=turned is not None,
    )


def rows_script(
    shapes: PointDataset,
    kept: NDArray[np.int64],
    more: Mapping[str, Any] | None = None,
    turned: Turned | None = None,
) -> Markup:
    """Returns the data that `SCRIPT` draws, as markup.

    Args:
        shapes: as for `render_rows`.
        kept: the shapes that are shown, in ascending order.
        more: what else it needs.
        turned: as for `render_rows`.
    """
    data: dict[str, Any] = {"indices": kept.tolist(), **(more or {})}
    if shapes.num_points:
        thinned = _thinned(shapes.batch(torch.from_numpy(kept)))
        data |= {"count": thinned.shape[1], "points": base64_of(thinned.numpy())}
    if turned is not None:
        data["turned"] = base64_of(_thinned(turned.points[torch.from_numpy(kept)]).numpy())
    script = Markup('<script type="application/json" id="gallery-data">{}</script>')
    return script.format(script_json(data))


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


def _facts(row: ClusterRow, shapes: PointDataset, moved: Mapping[int, int] | None) -> str:
    """Says what is known of the members of a cluster."""
    size = len(row.shapes)
    facts = [counted(size, "shape")]
    if shapes.labels is not None:
        facts.append(_mixture(shapes, row.shapes))
    if moved is not None:
        staying = sum(int(i) not in moved for i in row.shapes)
        facts.append(f"{staying:,} of {size:,} stay when turned")
    if row.shown < size:
        facts.append(f"{size - row.shown:,} not shown")
    return " · ".join(facts)


def _mixture(shapes: PointDataset, members: NDArray[np.int64]) -> str:
    """Says which classes a cluster has; the first fraction is its purity."""
    assert shapes.labels is not None
    classes, counts = np.unique(shapes.labels.numpy()[members], return_counts=True)
    parts = [
        f"{100 * counts[at] / len(members):.0f} % {shapes.class_names[classes[at]]}"
        for at in np.argsort(-counts, kind="stable")[:CLASSES_SHOWN]
    ]
    others = len(classes) - CLASSES_SHOWN
    more = f" and {counted(others, 'more class', 'more classes')}" if others > 0 else ""
    return ", ".join(parts) + more


def _figure(shapes: PointDataset, index: int, moved: Mapping[int, int]) -> dict[str, object]:
    name, now = shapes.names[index], moved.get(int(index))
    title = name if now is None else f"{name}, turned in cluster {now}"
    return {"index": index, "title": title, "short": PurePosixPath(name).name, "moved": now}


def _thinned(points: Tensor) -> Tensor:
    """Returns at most 256 points of each shape, about its centroid, the farthest at radius 1."""
    count = min(POINTS, points.shape[1])
    chosen = farthest_point_sample(points, count)
    centred = points - points.mean(dim=1, keepdim=True)
    kept = centred.gather(1, chosen[..., None].expand(-1, -1, 3))
    radius = kept.norm(dim=2).amax(dim=1)
    return kept / torch.where(radius > 0, radius, 1)[:, None, None]
