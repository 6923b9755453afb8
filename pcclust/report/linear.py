"""How accuracies of classifiers on frozen features are shown."""

from collections.abc import Callable
from typing import ClassVar

from pcclust.evaluate.linear_report import PROBES, LinearReport, ProbeScores
from pcclust.report.base import ReportView
from pcclust.report.point_view import Section
from pcclust.report.table import Table, percent
from pcclust.report.templates import Markup, paragraphs, render


class LinearView(ReportView):
    """A table of all probes under all protocols, and one of few labels."""

    title: ClassVar[str] = "Frozen features"

    def __init__(self, report: LinearReport) -> None:
        self.report = report

    def tables(self) -> list[Table]:
        """Returns the accuracies with all labels, and with few where that was tested."""
        return [self._summary(), *self._few_labels()]

    def more_tables(self) -> list[Table]:
        """Returns the class-mean accuracies of the probes that had all labels."""
        return [
            self._table("Class-mean accuracy in %", lambda found: percent(found.class_mean)),
        ]

    def notes(self) -> list[str]:
        """Says what protocols, deviations and probes are."""
        azimuths = int(self.report.settings["azimuths"])
        return [
            "“z” turns a shape about its up axis, “SO3” by an arbitrary rotation; “z/SO3” was "
            "trained on the one and tested on the other. “Upright” are shapes as they stand in "
            "the data.",
            "± is the sample standard deviation over the rounds of rotations; with few labels, "
            "over the repeats.",
            "Linear SVM: standardised features, C by 5-fold cross-validation on the training "
            "shapes, with few labels on those that have one. C = 1: features as they are.",
            "Kernel map: the map of a Gaussian kernel, fitted on training shapes without their "
            "labels, then a linear classifier, which is linear on what the map makes of the "
            "features, not on them: least squares where all training shapes span the map, its "
            "penalty by leaving out each in turn, and otherwise the linear SVM.",
            "Spectral map: standardised features and, beside them, coordinates in the graph of all "
            "training shapes, for which no label is looked at; then the linear SVM.",
            "RBF SVC: standardised features, gamma = 1 / features, C = 1. ContrastNet's script "
            "takes features as they are."
            + f" Upright: mean ± deviation over {azimuths} rotations of all shapes."
            * (azimuths > 1),
            *filter(None, [self.randomness()]),
        ]

    def lead(self) -> str:
        """Returns the accuracies of the linear SVM."""
        scores = {name: self.report.score(name).mean for name in self.report.protocols}
        known = ", ".join(f"{percent(mean)} % under {name}" for name, mean in scores.items())
        return f"Linear evaluation: an SVM on its features is right on {known}."

    def sections(self) -> list[Section]:
        """Returns the tables and how they came about."""
        tables = Markup("").join(table.html() for table in self.tables())
        (class_means,) = self.more_tables()
        details = render("details", title="Class means", body=class_means.html())
        html = tables + paragraphs(*self.notes()) + details
        return [Section(title="Frozen features", html=html)]

    def _summary(self) -> Table:
        report = self.report
        counts = f"{report.learned:,} shapes to train with, {report.shapes:,} to test"
        return self._table(f"Accuracy in %: {counts}", _accuracy)

    def _few_labels(self) -> list[Table]:
        """Returns a table for each probe that had few labels."""
        report = self.report
        few = [found for found in report.scores if found.fraction < 1]
        rows = {found.fraction: f"{100 * found.fraction:g} % ({found.labels:,})" for found in few}
        tables = []
        for probe in dict.fromkeys(found.probe for found in few):
            cells = [
                [title, *(_accuracy(report.score(p, probe, part)) for p in report.protocols)]
                for part, title in rows.items()
            ]
            name = PROBES[probe][0].upper() + PROBES[probe][1:]
            repeats = f"accuracy in %: {report.settings['repeats']} repeats"
            caption = f"{name} with few labels, {repeats}"
            tables.append(Table(["labels", *report.protocols], cells, caption))
        return tables

    def _table(self, caption: str, cell: Callable[[ProbeScores], str]) -> Table:
        report = self.report
        probes = dict.fromkeys(found.probe for found in report.scores)
        rows = [
            [PROBES[name], *(cell(report.score(protocol, name)) for protocol in report.protocols)]
            for name in probes
        ]
        return Table(["probe", *report.protocols], rows, caption)


def _accuracy(found: ProbeScores) -> str:
    spread = "" if found.std is None else f" ± {percent(found.std)}"
    return percent(found.mean) + spread
