"""What Jupyter shows of reports and datasets: tables, and shapes in a frame of their own."""

from collections.abc import Mapping
from functools import singledispatch

import torch

from pcclust.data.dataset import PointDataset
from pcclust.data.transforms import UnitSphere, stand_on_z
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.linear_report import LinearReport
from pcclust.evaluate.rotation_report import RotationReport
from pcclust.report.base import Saved
from pcclust.report.clustering import clustering_table
from pcclust.report.page import render_page
from pcclust.report.point_view import PointView, Section
from pcclust.report.registry import view_of
from pcclust.report.table import Table, about_table
from pcclust.report.templates import Markup, paragraphs, render

SHAPES = 4  # of a dataset are shown
POINTS = 1024  # of each
CLASSES = 12  # are counted in a table
FRAME_HEIGHT = 520  # CSS pixels


@singledispatch
def html_of(value: object) -> Markup:
    """Returns what a notebook shows of a report or a dataset.

    Raises:
        TypeError: of anything else.
    """
    raise TypeError(f"a notebook's view of {type(value).__name__} is not known")


def framed(title: str, section: Section) -> Markup:
    """Returns a frame in which nothing but the views of a section runs.

    Its scripts reach neither the notebook nor the network: the frame is sandboxed, and its page is
    an attribute.

    Args:
        title: what it shows, read out by screen readers.
        section: its views.
    """
    page = render_page(title, [section], styles=("framed",))
    return Markup(
        '<iframe sandbox="allow-scripts" title="{}" style="width: 100%; height: {}px; border: 0" '
        'srcdoc="{}"></iframe>'
    ).format(title, FRAME_HEIGHT, str(page))


@html_of.register(RotationReport)
@html_of.register(CorruptionReport)
@html_of.register(LinearReport)
def _report(report: Saved) -> Markup:
    """Returns the tables, and in a frame the shapes that failed."""
    view = view_of(report)
    tables = Markup("").join(table.html() for table in view.tables())
    notes = render("details", title="How it was measured", body=paragraphs(*view.notes()))
    made = render(
        "details", title="How it was made", body=about_table(report.about, report.settings).html()
    )
    failed = view.failed()
    frame = framed(failed.title, failed) if failed.views else Markup("")
    return _headed(view.title, view.lead()) + tables + frame + notes + made


@html_of.register
def _clustering(report: ClusteringReport) -> Markup:
    shapes, clusters = f"{len(report.space):,}", report.n_clusters
    head = _headed("Clusters", f"{shapes} shapes in {clusters} clusters.")
    notes = render("details", title="How it was measured", body=paragraphs(*report.notes))
    return head + clustering_table(report).html() + notes


@html_of.register
def _dataset(dataset: PointDataset) -> Markup:
    """Returns what is known of the shapes, and some of them in a frame."""
    head = _headed(type(dataset).__name__, f"{dataset.title}{_standing(dataset)}.")
    tables = [_classes(dataset.counts()).html()] if dataset.labels is not None else []
    return head + Markup("").join(tables) + _shapes(dataset)


def _standing(dataset: PointDataset) -> str:
    return f", {dataset.up_axis} up" if dataset.up_axis else ""


def _classes(counts: Mapping[str, int]) -> Table:
    rows = [[name, f"{count:,}"] for name, count in counts.items()]
    if len(rows) > CLASSES:
        rest = sum(list(counts.values())[CLASSES - 1 :])
        rows = [*rows[: CLASSES - 1], [f"{len(rows) - CLASSES + 1} more classes", f"{rest:,}"]]
    return Table(["class", "shapes"], rows)


def _shapes(dataset: PointDataset) -> Markup:
    """Returns a frame of some shapes, far apart in the dataset."""
    if not len(dataset) or not dataset.num_points:
        return Markup("")
    chosen = torch.linspace(0, len(dataset) - 1, min(SHAPES, len(dataset))).long()
    try:
        clouds = dataset.batch(chosen)
    except (OSError, ValueError) as error:  # a display that raises would hide the rest
        return paragraphs(f"Its shapes cannot be shown: {error}")
    kept = torch.linspace(0, dataset.num_points - 1, min(POINTS, dataset.num_points)).long()
    thinned = clouds[:, kept]
    stood = stand_on_z(UnitSphere()(thinned), dataset.up_axis or "z").numpy()
    views = [
        PointView(points, {"height (radius = 1)": points[:, 2]}, title=_name(dataset, row))
        for points, row in zip(stood, chosen.tolist(), strict=True)
    ]
    return framed("Some shapes", Section(title="Some shapes", views=views, view_width=180))


def _name(dataset: PointDataset, row: int) -> str:
    if dataset.labels is None:
        return dataset.names[row]
    return f"{dataset.names[row]}, {dataset.class_names[int(dataset.labels[row])]}"


def _headed(title: str, lead: str) -> Markup:
    return Markup("<p><strong>{}</strong></p>").format(title) + paragraphs(lead)
