"""A page of clusters: each a row of turning shapes, and a map of all of them to hover."""

from collections.abc import Sequence
from html import escape
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pcclust.evaluate.cluster_methods import METHODS
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.report.cluster_map import map_features
from pcclust.report.cluster_rows import (
    SCRIPT,
    ClusterRow,
    Shapes,
    base64_of,
    cluster_rows,
    render_rows,
    rows_script,
)
from pcclust.report.page import about_table, render_page
from pcclust.report.point_view import Section, asset

MAPPED = 1500  # shapes on the map
POINTING = "Point at a dot to see its shape, click it to go to its row."


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
    rows = cluster_rows(report)
    mapped = _mapped(len(shapes.names), seed)
    places, how = map_features(report.space[mapped], seed)
    first = f"{METHODS[report.methods[0].method].title}, seed {report.methods[0].runs[0].seed}"
    made = about_table(report.about, _settings(report)).html()
    shown = np.concatenate([mapped, *(row.shapes[: row.shown] for row in rows)])
    kept = np.unique(shown)
    data = rows_script(shapes, kept, _of_map(rows, shapes, kept, mapped, places))
    sections = [
        Section(title="Measures", html=_measures(report)),
        Section(title="Map", html=_map(shapes, mapped, how)),
        Section(title=f"{len(rows)} clusters", html=render_rows(rows, shapes)),
        Section(title="How it was made", html=made + data),
    ]
    lead = f"{len(shapes.names):,} shapes in {len(rows)} clusters, by {first}."
    return render_page(title, sections, lead=lead, scripts=[SCRIPT], styles=[SCRIPT])


def _check(report: ClusteringReport, shapes: Shapes) -> None:
    count = len(report.space)
    given = {"names": shapes.names, "points": shapes.points, "labels": shapes.labels}
    for what, values in given.items():
        if values is not None and len(values) != count:
            raise ValueError(f"{len(values)} {what} for the {count} shapes of the report")


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


def _of_map(
    rows: Sequence[ClusterRow],
    shapes: Shapes,
    kept: NDArray[np.int64],
    mapped: NDArray[np.int64],
    places: NDArray[np.float64],
) -> dict[str, Any]:
    """Returns what the script needs to draw the map and to tell of its dots."""
    rank = np.empty(len(shapes.names), np.int64)
    for row in rows:
        rank[row.shapes] = row.rank
    data: dict[str, Any] = {
        "names": [shapes.names[i] for i in kept],
        "clusters": rank[kept].tolist(),
        "map": {
            "shapes": np.searchsorted(kept, mapped).tolist(),
            "places": base64_of(places * [1, -1]),
        },
    }
    if shapes.labels is not None:
        classes, number = np.unique(shapes.labels, return_inverse=True)
        data["labels"] = number[kept].tolist()
        data["classNames"] = [shapes.class_of(int(c)) for c in classes]
    return data


def _settings(report: ClusteringReport) -> dict[str, int | float | str]:
    told = {name: str(value) for name, value in report.settings.items()}
    return {"clusters": report.n_clusters, **told}
