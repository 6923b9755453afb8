"""A page of clusters: each a row of turning shapes, and a map of all of them to hover."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import PurePosixPath
from string import Template
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.evaluate.cluster_map import map_features
from pcclust.evaluate.cluster_methods import METHODS
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.evaluate.point_view import Section, asset
from pcclust.evaluate.report import about_table, render_page
from pcclust.ops import farthest_point_sample

POINTS = 256  # of a shape on the page
ROW, LEAST_IN_ROW, SHOWN = 9, 4, 1200  # shapes of a row at most, at least, and of all rows
MAPPED = 1500  # shapes on the map
CLASSES_SHOWN = 3
POINTING = "Point at a dot to see its shape, click it to go to its row."


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


@dataclass(frozen=True)
class _Cluster:
    """A row: where it stands, its shapes from the most central to the outermost."""

    rank: int
    shapes: NDArray[np.int64]
    shown: int


def gallery_page(
    report: ClusteringReport,
    shapes: Shapes,
    *,
    title: str = "Clusters of shapes",
    seed: int = 0,
) -> str:
    """Returns a self-contained HTML page of the first run of a report's first method.

    Clusters are rows, the largest first, of up to 9 turning shapes (4 where there are many
    clusters), the most central first. The map has up to 1,500 shapes, drawn at random beyond. A
    shape has 256 points that are farthest apart, 16 bits a coordinate, so a page has a few MB.

    Args:
        report: of `pcclust.evaluate.clustering`.
        shapes: the same shapes in the same order.
        title: of the page, plain text.
        seed: of the map.

    Returns:
        The page's text, to be written as UTF-8.

    Raises:
        ValueError: another number of names, points or labels than shapes in the report.

    Example:
        >>> import numpy as np
        >>> from pcclust.evaluate.clustering import clustering
        >>> features = np.random.default_rng(0).normal(size=(30, 4))
        >>> report = clustering(features, n_clusters=3, seeds=1)
        >>> page = gallery_page(report, Shapes([f"shape {i}" for i in range(30)]))
        >>> page.startswith("<!doctype html>"), page.count('<article class="cluster"')
        (True, 3)
    """
    _check(report, shapes)
    clusters = _rows(report)
    mapped = _mapped(len(shapes.names), seed)
    places, how = map_features(report.space[mapped], seed)
    first = f"{METHODS[report.methods[0].method].title}, seed {report.methods[0].runs[0].seed}"
    made = about_table(report.about, _settings(report)).html()
    data = _script(_data(clusters, shapes, mapped, places))
    sections = [
        Section(title="Measures", html=_measures(report)),
        Section(title="Map", html=_map(shapes, mapped, how)),
        Section(title=f"{len(clusters)} clusters", html=_clusters(clusters, shapes, first)),
        Section(title="How it was made", html=made + data),
    ]
    lead = f"{len(shapes.names):,} shapes in {len(clusters)} clusters, by {first}."
    name = "cluster_gallery"
    return render_page(title, sections, lead=lead, script=name, style=name)


def _script(data: dict[str, Any]) -> str:
    # "<" never stands in a script's text, so that no name can end it.
    text = json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")
    return f'<script type="application/json" id="gallery-data">{text}</script>'


def _check(report: ClusteringReport, shapes: Shapes) -> None:
    count = len(report.space)
    given = {"names": shapes.names, "points": shapes.points, "labels": shapes.labels}
    for what, values in given.items():
        if values is not None and len(values) != count:
            raise ValueError(f"{len(values)} {what} for the {count} shapes of the report")


def _rows(report: ClusteringReport) -> list[_Cluster]:
    clusters = report.methods[0].runs[0].clusters
    found, sizes = np.unique(clusters, return_counts=True)
    most = min(ROW, max(LEAST_IN_ROW, SHOWN // len(found)))
    rows = []
    for rank, at in enumerate(np.argsort(-sizes, kind="stable")):
        members = np.flatnonzero(clusters == found[at])
        space = report.space[members].astype(np.float64)
        away = np.linalg.norm(space - space.mean(axis=0), axis=1)
        central_first = members[np.argsort(away, kind="stable")]
        rows.append(_Cluster(rank, central_first, min(most, len(members))))
    return rows


def _mapped(count: int, seed: int) -> NDArray[np.int64]:
    if count <= MAPPED:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MAPPED, replace=False))


def _measures(report: ClusteringReport) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return f"{report.table().html()}<ul>{notes}</ul>"


def _map(shapes: Shapes, mapped: NDArray[np.int64], how: str) -> str:
    left = len(shapes.names) - len(mapped)
    chosen = f" {len(mapped):,} shapes at random; {left:,} are not shown." if left else ""
    text = f"<p>Similar shapes lie near each other. {escape(how)}{chosen} {POINTING}</p>"
    return text + Template(asset("cluster_map.html")).substitute(
        shown=len(mapped),
        by_class='<option value="class">the class</option>' if shapes.labels is not None else "",
        preview='<canvas class="preview"></canvas>' if shapes.points is not None else "",
    )


def _clusters(clusters: Sequence[_Cluster], shapes: Shapes, first: str) -> str:
    hidden = sum(len(cluster.shapes) - cluster.shown for cluster in clusters)
    lines = [f"By {first}; the largest first, in each the most central shapes first."]
    if hidden:
        lines.append(f"{hidden:,} shapes are not shown.")
    button = ""
    if shapes.points is not None:
        lines.append("Colour is the distance from the centroid. Drag a shape to turn it.")
        button = '<p><button type="button" id="turning">Stop turning</button></p>'
    rows = "\n".join(_row(cluster, shapes) for cluster in clusters)
    script = "<noscript>Shapes are drawn by JavaScript, which is part of this page.</noscript>"
    return f"<p>{escape(' '.join(lines))}</p>{button}{script}\n{rows}"


def _row(cluster: _Cluster, shapes: Shapes) -> str:
    number, size = cluster.rank + 1, len(cluster.shapes)
    facts = [f"{size:,} shape{'s' * (size > 1)}"]
    if shapes.labels is not None:
        facts.append(_mixture(shapes, cluster.shapes))
    if cluster.shown < size:
        facts.append(f"{size - cluster.shown:,} not shown")
    heading = f'<span data-number="{cluster.rank}"></span>Cluster {number}'
    figures = "".join(_figure(shapes, int(i)) for i in cluster.shapes[: cluster.shown])
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


def _figure(shapes: Shapes, index: int) -> str:
    name = escape(shapes.names[index])
    short = escape(PurePosixPath(shapes.names[index]).name)
    caption = f'<figcaption title="{name}">{short}</figcaption>'
    if shapes.points is None:
        return f"<figure>{caption}</figure>"
    canvas = f'<canvas role="img" aria-label="{name}, turning"></canvas>'
    return f'<figure data-index="{index}">{canvas}{caption}</figure>'


def _data(
    clusters: Sequence[_Cluster],
    shapes: Shapes,
    mapped: NDArray[np.int64],
    places: NDArray[np.float64],
) -> dict[str, Any]:
    """Returns what the script needs: the shapes of the rows and of the map, each once."""
    shown = np.concatenate([mapped, *(c.shapes[: c.shown] for c in clusters)])
    kept = np.unique(shown)
    rank = np.empty(len(shapes.names), np.int64)
    for cluster in clusters:
        rank[cluster.shapes] = cluster.rank
    data: dict[str, Any] = {
        "indices": kept.tolist(),
        "names": [shapes.names[i] for i in kept],
        "clusters": rank[kept].tolist(),
        "map": {
            "shapes": np.searchsorted(kept, mapped).tolist(),
            "places": _base64(places * [1, -1]),
        },
    }
    if shapes.labels is not None:
        classes, number = np.unique(shapes.labels, return_inverse=True)
        data["labels"] = number[kept].tolist()
        data["classNames"] = [shapes.class_of(int(c)) for c in classes]
    if shapes.points is not None:
        thinned = _thinned(shapes.points[torch.from_numpy(kept)])
        data |= {"count": thinned.shape[1], "points": _base64(thinned.numpy())}
    return data


def _thinned(points: Tensor) -> Tensor:
    """Returns at most 256 points of each shape, about its centroid, the farthest at radius 1."""
    count = min(POINTS, points.shape[1])
    chosen = farthest_point_sample(points, count)
    centred = points - points.mean(dim=1, keepdim=True)
    kept = centred.gather(1, chosen[..., None].expand(-1, -1, 3))
    radius = kept.norm(dim=2).amax(dim=1)
    return kept / torch.where(radius > 0, radius, 1)[:, None, None]


def _base64(values: NDArray[np.floating]) -> str:
    """Returns numbers in [-1, 1] as little-endian 16-bit integers."""
    return base64.b64encode(np.rint(values * 32767).astype("<i2").tobytes()).decode("ascii")


def _settings(report: ClusteringReport) -> dict[str, int | float | str]:
    told = {name: str(value) for name, value in report.settings.items()}
    return {"clusters": report.n_clusters, **told}
