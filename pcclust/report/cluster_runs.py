"""Runs that cluster the same shapes, side by side: tables, Markdown and a page."""

from collections.abc import Iterator, Sequence

import numpy as np

from pcclust.data import PointDataset
from pcclust.evaluate.cluster_methods import METHODS, OWN
from pcclust.evaluate.cluster_runs_report import PARTS, ClusterRunsReport, RunGroup
from pcclust.evaluate.clustering_report import MEASURES, ClusteringReport, MethodRuns, Run
from pcclust.report.cluster_gallery import gallery_page
from pcclust.report.cluster_rows import SCRIPT, Turned, cluster_rows, render_rows, rows_script
from pcclust.report.cluster_runs_drawings import cluster_confusion, size_drawing
from pcclust.report.page import render_page
from pcclust.report.point_view import Section
from pcclust.report.table import Table, about_table
from pcclust.report.templates import Markup, render

# The measures that need no label have a table of their own.
UNLABELLED = ("silhouette", "size_perplexity", "empty", "consistency")
SHORT = {
    "class_mean_accuracy": "class-mean\nACC",
    "size_perplexity": "perplexity\nof sizes",
    "empty": "empty\nclusters",
    "consistency": "same when\nturned",
}


def run_tables(report: ClusterRunsReport) -> list[Table]:
    """Returns a table of each part that labels measure, and one of what needs none."""
    tables = []
    for part, title in PARTS.items():
        measures = [name for name in report.measured(part) if name not in UNLABELLED]
        if measures:
            rows = [[*_name(group), *_cells(group, part, measures)] for group in report.groups]
            tables.append(Table(["runs", "seeds", *map(_title, measures)], rows, f"{title}, in %"))
    return [*tables, _unlabelled(report)]


def run_markdown(report: ClusterRunsReport) -> str:
    """Returns the tables and the notes as Markdown."""
    tables = [table.markdown() for table in run_tables(report)]
    notes = "\n".join(f"- {note}" for note in report.notes)
    made = about_table(report.about, report.settings).markdown()
    return "\n\n".join(["# Clusters of several runs", *tables, notes, made]) + "\n"


def runs_page(report: ClusterRunsReport, shapes: PointDataset, turned: Turned | None = None) -> str:
    """Returns a self-contained page: tables, and for each method its clusters against classes.

    The shapes of the first method's first run are shown, those of others have pages of their own,
    see `gallery_pages`.

    Args:
        report: of `pcclust.evaluate.cluster_runs`; the first run of each group has its features.
        shapes: the fitted shapes, in its order.
        turned: these turned, and the clusters that the first run then gives them.
    """
    first = _as_clustering(report, report.groups[0])
    rows = cluster_rows(first)
    shown = np.unique(np.concatenate([row.shapes[: row.shown] for row in rows]))
    tables = Markup("").join(table.html() for table in run_tables(report))
    made = about_table(report.about, report.settings).html()
    sections = [
        Section(title="Side by side", html=tables + render("notes", notes=report.notes), wide=True),
        *_sections(report),
        Section(
            title=f"Clusters of {report.groups[0].title}",
            html=_poses(turned)
            + render_rows(rows, shapes, turned)
            + rows_script(shapes, shown, turned=turned),
            wide=True,
        ),
        Section(title="How it was made", html=made),
    ]
    lead = f"{len(shapes):,} shapes clustered by {', '.join(g.title for g in report.groups)}."
    return render_page(
        "Clusters, side by side", sections, lead=lead, scripts=[SCRIPT], styles=[SCRIPT]
    )


def gallery_pages(report: ClusterRunsReport, shapes: PointDataset) -> Iterator[tuple[str, str]]:
    """Yields name and text of the page of the first run of each method."""
    for number, group in enumerate(report.groups):
        page = gallery_page(_as_clustering(report, group), shapes, title=f"{group.title}")
        yield gallery_name(number), page


def gallery_name(number: int) -> str:
    """Returns the file of a gallery."""
    return f"gallery-{number + 1}.html"


def _sections(report: ClusterRunsReport) -> Iterator[Section]:
    """Yields what is drawn of each method's first run."""
    for number, group in enumerate(report.groups):
        run = group.runs[0]
        link = Markup('<p><a href="{}">All its clusters, and a map of the shapes</a></p>')
        html = link.format(gallery_name(number))
        if report.labels is not None:
            clusters = run.fitted.upright
            html += cluster_confusion(clusters, report.labels, report.class_names, group.title)
        if run.sizes is not None and len(run.sizes) > 1:
            told = "The sizes of its clusters after each epoch, the largest below:"
            html += Markup("<p>{}</p>").format(told) + size_drawing(run.sizes, group.title)
        yield Section(title=f"{group.title}, seed {run.seed}", html=html)


def _poses(turned: Turned | None) -> Markup:
    """Says what stands above and below, where shapes are shown twice."""
    told = "As it stands above, turned any way below; an arrow says which cluster it then comes to."
    return Markup("") if turned is None else Markup("<p>{}</p>").format(told)


def _as_clustering(report: ClusterRunsReport, group: RunGroup) -> ClusteringReport:
    """Returns the first run of a method as the gallery takes it."""
    run = group.runs[0]
    assert run.space is not None
    method = next((name for name in METHODS if METHODS[name].title == group.title), OWN)
    measures = {**run.measures["fitted"]}
    runs = MethodRuns(method, (Run(run.seed, run.fitted.upright, measures, {}),))
    classes = None if report.labels is None else len(np.unique(report.labels))
    about = {**report.about, "run": run.name}
    return ClusteringReport((runs,), run.n_clusters, classes, run.space, {}, (), about)


def _unlabelled(report: ClusterRunsReport) -> Table:
    """Returns what is measured without labels."""
    columns = [
        (part, name)
        for name in UNLABELLED
        for part in ("fitted", "fitted_turned")
        if name in report.measured(part)
    ]
    agreements = [group.agreement for group in report.groups]
    several = any(agreement is not None for agreement in agreements)
    rows = [
        [
            *_name(group),
            *(_cells(group, part, [name])[0] for part, name in columns),
            *(["–" if agreement is None else f"{100 * agreement:.1f}"] if several else []),
        ]
        for group, agreement in zip(report.groups, agreements, strict=True)
    ]
    header = ["runs", "seeds", *(_title(name) for _, name in columns)]
    return Table([*header, *["seeds\nagree"] * several], rows, "Without labels")


def _title(measure: str) -> str:
    return SHORT.get(measure, MEASURES[measure].title)


def _name(group: RunGroup) -> list[str]:
    return [group.title, str(len(group.runs))]


def _cells(group: RunGroup, part: str, measures: Sequence[str]) -> list[str]:
    cells = []
    for measure in measures:
        told = group.mean_and_deviation(part, measure)
        scale = 100 if MEASURES[measure].percent else 1
        digits = MEASURES[measure].digits
        if told is None:
            cells.append("–")
        else:
            spread = "" if told[1] is None else f" ± {scale * told[1]:.{digits}f}"
            cells.append(f"{scale * told[0]:.{digits}f}{spread}")
    return cells
