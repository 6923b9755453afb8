"""The page of what rotations and corruptions do to a model, and what its features are worth."""

from contextlib import AbstractContextManager
from html import escape

import numpy as np

from pcclust._extras import require
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.linear_report import LinearReport
from pcclust.evaluate.rotation_report import RotationReport, percent
from pcclust.report.page import (
    INK,
    QUIET,
    RULE,
    SERIES,
    STYLE,
    Table,
    about_table,
    inline_svg,
    new_figure,
    render_page,
)
from pcclust.report.point_view import PointView, Section

CELL = (0.16, 0.55, 0.55)  # a colour that stands out on white and on black
MISTAKES = 10


def evaluation_page(*reports: RotationReport | CorruptionReport | LinearReport) -> str:
    """Returns one self-contained page of reports of one model.

    Args:
        *reports: of `pcclust.evaluate.rotation`, `corruption` and `linear`, in the order in which
            they are to be shown.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no report is given.
    """
    if not reports:
        raise ValueError("a page needs a report of rotations, of corruptions or of probes")
    sections = []
    for report in reports:
        if isinstance(report, RotationReport):
            sections += rotation_sections(report)
        elif isinstance(report, CorruptionReport):
            sections.append(Section(title="Damaged shapes", html=_damage(report)))
        else:
            sections.append(Section(title="Frozen features", html=_probes(report)))
    commands = [report.about["command"] for report in reports if "command" in report.about]
    made = "".join(f"<pre>{escape(command)}</pre>" for command in commands)
    tables = "".join(about_table(report.about, report.settings).html() for report in reports)
    sections.append(Section(title="How it was made", html=made + tables))
    model = reports[0].about.get("model", "a model")
    return render_page(f"{model}, tested", sections, lead=" ".join(map(_lead, reports)))


def rotation_sections(report: RotationReport) -> list[Section]:
    """Returns the sections of a report of rotations, from the summary to the shapes that failed.

    Args:
        report: of `pcclust.evaluate.rotation`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    shown = list(report.predictions)[1]  # the first training orientation, tested under SO3
    sections = [Section(title="Turned shapes", html=_legend() + report.summary().html())]
    if len(report.tilt_degrees):
        html = _tilt_drawing(report) + _details("The numbers", report.tilt_table())
        sections.append(Section(title="Accuracy by tilt", html=html))
    classes = _class_drawing(report) + _details("The numbers", report.class_table())
    sections.append(Section(title="Every class", html=classes))
    confusion = _confusion_drawing(report, shown) + _mistakes(report, shown).html()
    sections.append(Section(title=f"What is taken for what, {shown}", html=confusion))
    sections.append(_failures(report))
    return sections


def _lead(report: RotationReport | CorruptionReport | LinearReport) -> str:
    if isinstance(report, RotationReport):
        known = [f"{percent(report.answers(p).mean)} % under {p}" for p in report.predictions]
        return f"Of {len(report.labels):,} shapes it knows {', '.join(known)}."
    if isinstance(report, CorruptionReport):
        return f"PointCloud-C: mCE {report.scores.mce:.3f}, RmCE {report.scores.rmce:.3f}."
    known = [f"{percent(report.score(p).mean)} % under {p}" for p in report.protocols]
    return f"A linear SVM on its features knows {', '.join(known)}."


def _legend() -> str:
    return (
        "<p>“z” turns a shape about its up axis, “SO3” anyhow; “z/SO3” was trained on the one and "
        "tested on the other. In each round every shape has a new turn. “One answer” is the share "
        "of shapes that are taken for the same class in every round, “always right” of those for "
        "which that class is right. “Change” is how far the output moves from that of the upright "
        "shape, in units of its length.</p>"
    )


def _details(title: str, table: Table) -> str:
    return f"<details><summary>{escape(title)}</summary>{table.html()}</details>"


def _style() -> AbstractContextManager[None]:
    require("matplotlib", "reports")
    from matplotlib.style import context

    return context(STYLE)


def _tilt_drawing(report: RotationReport) -> str:
    with _style():
        figure = new_figure(7.2, 3.2)
        axes = figure.subplots()
        for name, colour in zip(report.tilt_predictions, SERIES, strict=False):
            label = f"trained on {name}" if name else None
            accuracy = 100 * report.tilt_accuracy(name)
            axes.plot(report.tilt_degrees, accuracy, "o-", color=colour, ms=4, label=label)
        axes.set(xlim=(-3, 183), ylim=(0, 102), xlabel="tilt from upright", ylabel="accuracy (%)")
        axes.set_xticks(range(0, 181, 30), [f"{angle}°" for angle in range(0, 181, 30)])
        axes.grid(axis="y", linewidth=0.8)
        if any(report.tilt_predictions):
            axes.legend(frameon=False, loc="lower left")
        return inline_svg(figure, "Accuracy against the tilt of the shapes")


def _class_drawing(report: RotationReport) -> str:
    """Draws the classes in the order of what they lose, from the first protocol to the last."""
    protocols = list(report.predictions)
    columns = {name: 100 * report.answers(name).per_class for name in protocols}
    shown = np.flatnonzero(~np.isnan(columns[protocols[0]]))
    lost = (columns[protocols[0]] - columns[protocols[1]])[shown]
    order = shown[np.argsort(-lost, kind="stable")]
    rows = np.arange(len(order))
    with _style():
        figure = new_figure(7.2, 1 + 0.21 * len(order))
        axes = figure.subplots()
        ends = np.stack([columns[name][order] for name in protocols])
        axes.hlines(rows, ends.min(axis=0), ends.max(axis=0), color=RULE, linewidth=3)
        for name, colour, mark in zip(protocols, (*SERIES, INK), "oDs^", strict=False):
            axes.plot(columns[name][order], rows, mark, color=colour, ms=5, label=name)
        axes.set_yticks(rows, [report.class_names[label] for label in order], fontsize=8.5)
        axes.set(xlim=(-2, 102), ylim=(len(order) - 0.4, -0.6), xlabel="accuracy (%)")
        axes.grid(axis="x", linewidth=0.8)
        figure.legend(frameon=False, loc="outside upper right", ncols=len(protocols))
        return inline_svg(figure, "Accuracy of each class under each protocol")


def _confusion_drawing(report: RotationReport, protocol: str) -> str:
    counts = report.answers(protocol).confusion
    shown = np.flatnonzero(counts.sum(axis=0) + counts.sum(axis=1))
    counts = counts[np.ix_(shown, shown)]
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = np.zeros((*shares.shape, 4))
    cells[..., :3], cells[..., 3] = CELL, shares**0.6  # so that few mistakes show too
    names = [report.class_names[label] for label in shown]
    side = 1.8 + 0.15 * max(len(names), 8)
    with _style():
        figure = new_figure(side, side)
        axes = figure.subplots()
        axes.imshow(cells, interpolation="nearest")
        size = 7 if len(names) > 20 else 9
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=size)
        axes.set_yticks(range(len(names)), names, fontsize=size)
        axes.tick_params(length=0)
        axes.spines[:].set(visible=True, color=RULE)
        axes.set_xlabel("taken for", color=QUIET)
        axes.set_ylabel("true class", color=QUIET)
        return inline_svg(figure, f"Confusion of classes under {protocol}")


def _mistakes(report: RotationReport, protocol: str) -> Table:
    """Returns the most frequent mistakes."""
    counts = report.answers(protocol).confusion
    of_class = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    most = np.argsort(-counts, axis=None, kind="stable")[:MISTAKES]
    rows = []
    for true, taken in zip(*np.unravel_index(most, counts.shape), strict=True):
        if counts[true, taken]:
            share = percent(counts[true, taken] / of_class[true])
            pair = (report.class_names[true], report.class_names[taken])
            rows.append([*pair, f"{counts[true, taken]:,}", share])
    return Table(["true class", "taken for", "answers", "% of the class"], rows, "Most frequent")


def _failures(report: RotationReport) -> Section:
    views = []
    for failure in report.failures:
        true, taken = report.class_names[failure.label], report.class_names[failure.predicted]
        knew = "" if failure.upright == failure.label else ", and not known upright either"
        title = f"{true}, taken for {taken} at a tilt of {failure.tilt:.0f}°{knew} ({failure.name})"
        views.append(PointView(failure.points, {"height when upright": failure.height}, title))
    told = (
        "As the model saw them: drag to turn them back. The colour shows which way was up."
        if views
        else "No shape was taken for another class in any turn."
    )
    return Section(title="Shapes that failed", html=f"<p>{told}</p>", views=views, view_width=220)


def _damage(report: CorruptionReport) -> str:
    told = (
        "<p>PointCloud-C: seven corruptions at five levels. CE compares the error with that of "
        "DGCNN as published, RCE what is lost against clean shapes; mCE and RmCE are their "
        "means.</p>"
    )
    return told + report.summary().html()


def _probes(report: LinearReport) -> str:
    tables = "".join(table.html() for table in report.tables())
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes())
    return tables + notes + _details("Class means", report.class_mean_table())
