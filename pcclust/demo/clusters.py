"""The second part of `pcclust demo`: bundled furniture clustered, upright and turned."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress

from pcclust.data import PointDataset, open_dataset
from pcclust.data.transforms import RotateSO3, UnitSphere, stand_on_z
from pcclust.evaluate import embed
from pcclust.evaluate.clustering import clustering
from pcclust.evaluate.clustering_report import MEASURES, ClusteringReport
from pcclust.nn._card import Card
from pcclust.nn.weights import load
from pcclust.nn.weights_source import DEFAULT as WEIGHTS
from pcclust.report.cluster_rows import Turned, cluster_rows, render_rows, rows_script
from pcclust.report.point_view import Section
from pcclust.report.table import Table
from pcclust.report.templates import Markup, render

FURNITURE = "furniture.h5"
SEEDS = 5
SEED = 0


@dataclass(frozen=True)
class FurnitureClusters:
    """Clusters of upright shapes, and where the same shapes go when they are turned.

    Attributes:
        shapes: upright.
        turned: each of them turned at random, and its cluster in the first run.
        report: the upright shapes clustered, and the turned ones measured as held-out shapes.
        changes: ``(N,)`` how far turning moves the features of each, relative to their length.
        card: of the weights.
    """

    shapes: PointDataset
    turned: Turned
    report: ClusteringReport
    changes: NDArray[np.floating]
    card: Card

    @property
    def staying(self) -> list[float]:
        """The fraction of shapes that stay in their cluster, of each run."""
        runs = self.report.methods[0].runs
        return [float(np.mean(run.clusters == run.test_clusters)) for run in runs]

    @property
    def shown(self) -> NDArray[np.int64]:
        """The shapes that the page shows, in ascending order."""
        rows = cluster_rows(self.report)
        return np.unique(np.concatenate([row.shapes[: row.shown] for row in rows]))


def cluster_furniture(data: Path, progress: Progress) -> FurnitureClusters:
    """Clusters the furniture by features of the weights that come with pcclust.

    Args:
        data: the folder with the bundled shapes.
        progress: shows how far it is.

    Raises:
        FileNotFoundError: the shapes or the weights are not there.
    """
    encoder = load(WEIGHTS)
    dataset = open_dataset(str(data / FURNITURE))
    assert dataset.labels is not None
    assert dataset.up_axis is not None
    upright = stand_on_z(UnitSphere()(dataset.points), dataset.up_axis)
    turned = RotateSO3()(upright, torch.Generator().manual_seed(SEED))
    bar = progress.add_task("features, upright and turned", total=2 * len(upright))
    both = embed(
        encoder,
        torch.cat([upright, turned]),
        progress=lambda done, total: progress.update(bar, completed=done),
    )
    features = both.tensor_split(2)
    labels = dataset.labels.numpy()
    report = clustering(features[0], labels, seeds=SEEDS, seed=SEED, test=(features[1], labels))
    moved = report.methods[0].runs[0].test_clusters
    assert moved is not None
    changes = (features[1] - features[0]).norm(dim=1) / features[0].norm(dim=1)
    shapes = dataset.with_points(upright)
    card = encoder.__dict__["card"]
    return FurnitureClusters(shapes, Turned(turned, moved), report, changes.numpy(), card)


def cluster_table(found: FurnitureClusters) -> Table:
    """Returns what was measured of the clusters, upright and turned."""
    method = found.report.methods[0]
    rows = []
    for measure in ("accuracy", "nmi", "ari"):
        cells = [method.mean_and_deviation(measure, test=test) for test in (False, True)]
        rows.append([MEASURES[measure].title, *(_percent(*cell) for cell in cells)])
    staying = np.array(found.staying)
    rows.append(["stay in their cluster", "–", _percent(staying.mean(), staying.std(ddof=1))])
    return Table(["", "upright", "turned"], rows)


def cluster_notes(found: FurnitureClusters) -> list[str]:
    """Says how the clusters came about, one sentence each."""
    count, kinds = len(found.shapes), found.report.n_clusters
    told = found.card["data"]
    return [
        f"Features by {WEIGHTS}, learned from {told['shapes']:,} shapes of {told['dataset']} "
        "without a label. This furniture had no part in it.",
        f"k-means of the {count} upright shapes, as many clusters as kinds: {kinds}. Each shape is "
        "then turned at random (uniform over all rotations), described anew, and goes to the "
        "nearest centre.",
        f"Mean ± standard deviation of {SEEDS} seeds of k-means. ACC maps clusters to kinds one "
        "to one, fitted on the upright shapes; labels measure and choose nothing.",
        f"Turning a shape changes its features by {np.median(found.changes):.1e} of their length "
        f"(median; at most {found.changes.max():.1e}).",
    ]


def cluster_section(found: FurnitureClusters) -> Section:
    """Returns the clusters as a part of the page: measures, and a row of shapes for each."""
    rows = cluster_rows(found.report)
    lead = Markup(
        "<p>In every row a shape stands upright above and turned below; the turned ones are sorted "
        "by their own coordinates alone. Where one of them comes to another cluster, an arrow "
        "says to which. Clusters are those of the first seed.</p>"
    )
    return Section(
        title="Real furniture clustered, upright and turned",
        html=cluster_table(found).html()
        + render("notes", notes=cluster_notes(found))
        + lead
        + render_rows(rows, found.shapes, found.turned)
        + rows_script(found.shapes, found.shown, turned=found.turned),
        wide=True,
    )


def _percent(mean: float, deviation: float | None) -> str:
    return f"{100 * mean:.1f} ± {100 * (deviation or 0):.1f} %"
