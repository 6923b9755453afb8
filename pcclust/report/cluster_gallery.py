"""A page of clusters: each a row of turning shapes, and a map of all of them to hover."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pcclust._names import counted
from pcclust.data import PointDataset
from pcclust.evaluate.cluster_methods import METHODS
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.report.cluster_map import map_features
from pcclust.report.cluster_rows import (
    SCRIPT,
    ClusterRow,
    base64_of,
    cluster_rows,
    render_rows,
    rows_script,
)
from pcclust.report.clustering import clustering_table
from pcclust.report.number_curve import number_curve
from pcclust.report.page import render_page
from pcclust.report.point_view import Section
from pcclust.report.table import about_table
from pcclust.report.templates import Markup, render

if TYPE_CHECKING:
    from pcclust.cluster import NumberOfClusters

MAPPED = 1500  # shapes on the map


def gallery_page(
    report: ClusteringReport,
    shapes: PointDataset,
    *,
    title: str = "Clusters of shapes",
    seed: int = 0,
    number: "NumberOfClusters | None" = None,
) -> str:
    """Returns a self-contained HTML page of the first run of a report's first method.

    Clusters are rows, the largest first, of up to 9 turning shapes (4 where there are many
    clusters), the most central first. The map has up to 1,500 shapes, drawn at random beyond. A
    shape has 256 points that are farthest apart, 16 bits a coordinate, so a page has a few MB.

    Args:
        report: of `pcclust.evaluate.clustering`.
        shapes: the same shapes in the same order.
        title: of the page.
        seed: of the map.
        number: how the number of clusters was chosen, if it was.

    Returns:
        The page's text, to be written as UTF-8.

    Raises:
        ValueError: another number of shapes than in the report.

    Example:
        >>> import numpy as np
        >>> import torch
        >>> from pcclust.evaluate.clustering import clustering
        >>> features = np.random.default_rng(0).normal(size=(30, 4))
        >>> report = clustering(features, n_clusters=3, seeds=1)
        >>> page = gallery_page(report, PointDataset(torch.randn(30, 64, 3)))
        >>> page.startswith("<!doctype html>"), page.count('<article class="cluster"')
        (True, 3)
    """
    _check(report, shapes)
    rows = cluster_rows(report)
    mapped = _mapped(len(shapes), seed)
    places, how = map_features(report.space[mapped], seed)
    first = f"{METHODS[report.methods[0].method].title}, seed {report.methods[0].runs[0].seed}"
    made = about_table(report.about, _settings(report)).html()
    shown = np.concatenate([mapped, *(row.shapes[: row.shown] for row in rows)])
    kept = np.unique(shown)
    data = rows_script(shapes, kept, _of_map(rows, shapes, kept, mapped, places))
    sections = [
        Section(title="Measures", html=_measures(report)),
        *([] if number is None else [Section(title="How many", html=number_curve(number))]),
        Section(title="Map", html=_map(shapes, mapped, how), wide=True),
        Section(title=f"{len(rows)} clusters", html=render_rows(rows, shapes), wide=True),
        Section(title="How it was made", html=made + data),
    ]
    lead = f"{len(shapes):,} shapes in {len(rows)} clusters, by {first}."
    return render_page(title, sections, lead=lead, scripts=[SCRIPT], styles=[SCRIPT])


def _check(report: ClusteringReport, shapes: PointDataset) -> None:
    count = len(report.space)
    if len(shapes) != count:
        raise ValueError(f"{counted(len(shapes), 'shape')} for the {count:,} of the report")


def _mapped(count: int, seed: int) -> NDArray[np.int64]:
    if count <= MAPPED:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, MAPPED, replace=False))


def _measures(report: ClusteringReport) -> Markup:
    return clustering_table(report).html() + render("notes", notes=report.notes)


def _map(shapes: PointDataset, mapped: NDArray[np.int64], how: str) -> Markup:
    return render(
        "cluster_map",
        how=how,
        shown=len(mapped),
        left=len(shapes) - len(mapped),
        labelled=shapes.labels is not None,
        drawn=shapes.num_points > 0,
    )


def _of_map(
    rows: Sequence[ClusterRow],
    shapes: PointDataset,
    kept: NDArray[np.int64],
    mapped: NDArray[np.int64],
    places: NDArray[np.float64],
) -> dict[str, Any]:
    """Returns what the script needs to draw the map and to tell of its dots."""
    rank = np.empty(len(shapes), np.int64)
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
        classes, number = np.unique(shapes.labels.numpy(), return_inverse=True)
        data["labels"] = number[kept].tolist()
        data["classNames"] = [shapes.class_names[c] for c in classes]
    return data


def _settings(report: ClusteringReport) -> dict[str, int | float | str]:
    told = {
        name: ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in report.settings.items()
    }
    return {"clusters": report.n_clusters, **told}
