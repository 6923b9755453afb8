"""How accuracies and consistency under rotations are shown."""

from typing import ClassVar

import numpy as np

from pcclust.evaluate.rotation_report import RotationReport
from pcclust.report.base import ReportView
from pcclust.report.point_view import PointView, Section
from pcclust.report.rotation_drawings import class_drawing, confusion_drawing, tilt_drawing
from pcclust.report.table import Table, percent
from pcclust.report.templates import Markup, paragraphs, render

MISTAKES = 10


class RotationView(ReportView):
    """Tables of protocols, tilts and classes; on a page also mistakes, and shapes that failed."""

    title: ClassVar[str] = "Rotations"

    def __init__(self, report: RotationReport) -> None:
        self.report = report

    def tables(self) -> list[Table]:
        """Returns the summary, near ties, and the accuracies by tilt where there are."""
        tilts = [self._tilts()] if len(self.report.tilt_degrees) else []
        return [self._summary(), *self._near_ties(), *tilts]

    def more_tables(self) -> list[Table]:
        """Returns the accuracy in % of every class that has shapes."""
        report = self.report
        counts = np.bincount(report.labels, minlength=len(report.class_names))
        columns = [report.under(name).per_class for name in report.predictions]
        rows = [
            [name, f"{counts[label]:,}", *(percent(column[label]) for column in columns)]
            for label, name in enumerate(report.class_names)
            if counts[label]
        ]
        return [
            Table(["class", "shapes", *report.predictions], rows, "Accuracy in % of each class")
        ]

    def notes(self) -> list[str]:
        """Says what protocols and columns are."""
        return [
            "“z” turns a shape about its up axis, “SO3” by an arbitrary rotation; “z/SO3” was "
            "trained on the one and tested on the other. In each round every shape has a new "
            "rotation.",
            "“Consistency” is the fraction of shapes that are predicted as the same class in every "
            "round, “always right” of those for which that class is right.",
            "“Change” is how far the output moves from that of the upright shape, in units of its "
            "length.",
            *self._own_change(),
            *self._about_near_ties(),
        ]

    def _about_near_ties(self) -> list[str]:
        """Says what near ties are, if any shape was looked at for them."""
        if self.report.near_ties is None:
            return []
        return [
            "“Near ties”: two neighbours or clusters of the shape are equally good to within a few "
            "times the rounding of coordinates, which may choose the other one of a turned shape.",
        ]

    def _own_change(self) -> list[str]:
        """Says how much of the change is the model's own, if any is."""
        said = self.randomness()
        if not said:
            return []
        return [
            f"{said} So much of every change, and of what is lost in consistency and accuracy, is "
            "not due to rotation.",
        ]

    def lead(self) -> str:
        """Returns the accuracy under each protocol."""
        report = self.report
        known = [f"{percent(report.under(p).mean)} % under {p}" for p in report.predictions]
        return f"Of {len(report.labels):,} shapes it knows {', '.join(known)}."

    def sections(self) -> list[Section]:
        """Returns all that there is, from the summary to the shapes that failed."""
        report = self.report
        shown = list(report.predictions)[1]  # the first training orientation, tested under SO3
        tables = [self._summary(), *self._near_ties()]
        summary = paragraphs(" ".join(self.notes())) + Markup("").join(t.html() for t in tables)
        sections = [Section(title="Turned shapes", html=summary)]
        if len(report.tilt_degrees):
            html = tilt_drawing(report) + _numbers(self._tilts())
            sections.append(Section(title="Accuracy by tilt", html=html))
        (classes,) = self.more_tables()
        html = class_drawing(report) + _numbers(classes)
        sections.append(Section(title="Every class", html=html))
        html = confusion_drawing(report, shown) + self._mistakes(shown).html()
        sections.append(Section(title=f"What is predicted as what, {shown}", html=html))
        return [*sections, self.failed()]

    def _summary(self) -> Table:
        report = self.report
        header = [
            *("train/test", "accuracy", "worst\nround", "class\nmean", "consistency"),
            *("always\nright", "change\nmedian", "change\nmax"),
        ]
        rows = []
        for name in report.predictions:
            found, changes = report.under(name), report.changes[name.rpartition("/")[2]]
            accuracy = f"{percent(found.mean)} ± {percent(found.std)}"
            fractions = (found.worst, found.class_mean, found.consistency, found.always_right)
            moved = (f"{x:.2g}" for x in (np.median(changes), changes.max()))
            row = [name if "/" in name else f"?/{name}", accuracy, *map(percent, fractions), *moved]
            rows.append(row)
        rounds = len(next(iter(report.changes.values())))
        caption = f"{len(report.labels):,} shapes, in % of them; {rounds} rounds of rotations"
        return Table(header, rows, caption)

    def _near_ties(self) -> list[Table]:
        """Returns how far shapes with and without near ties move, if the model tells them."""
        near, changes = self.report.near_ties, self.report.change_by_ties()
        if near is None:
            return []
        names = {True: "near ties", False: "no near ties"}
        rows = [
            [names[has], f"{(near == has).sum():,}", f"{most:.2g}"] for has, most in changes.items()
        ]
        return [Table(["shapes with", "shapes", "change\nmax"], rows, "Near ties")]

    def _tilts(self) -> Table:
        report = self.report
        curves = [report.tilt_accuracy(name) for name in report.tilt_predictions]
        trained = (f"trained on {name}" if name else "accuracy" for name in report.tilt_predictions)
        columns = zip(report.tilt_degrees, *curves, strict=True)
        rows = [[f"{angle:.0f}°", *map(percent, fractions)] for angle, *fractions in columns]
        caption = f"Accuracy in % by tilt, {len(report.tilted):,} shapes"
        return Table(["tilt", *trained], rows, caption)

    def _mistakes(self, protocol: str) -> Table:
        """Returns the most frequent mistakes."""
        names, counts = self.report.class_names, self.report.under(protocol).confusion
        of_class = counts.sum(axis=1)
        np.fill_diagonal(counts, 0)
        most = np.argsort(-counts, axis=None, kind="stable")[:MISTAKES]
        rows = []
        for true, predicted in zip(*np.unravel_index(most, counts.shape), strict=True):
            if count := counts[true, predicted]:
                fraction = percent(count / of_class[true])
                rows.append([names[true], names[predicted], f"{count:,}", fraction])
        header = ["true class", "predicted as", "predictions", "% of the class"]
        return Table(header, rows, "Most frequent")

    def failed(self) -> Section:
        """Returns some shapes as the model saw them when it was wrong."""
        names, views = self.report.class_names, []
        for failure in self.report.failures:
            true, predicted = names[failure.label], names[failure.predicted]
            knew = "" if failure.upright == failure.label else ", and wrong upright as well"
            title = (
                f"{true}, predicted as {predicted} at a tilt of {failure.tilt:.0f}°{knew} "
                f"({failure.name})"
            )
            views.append(PointView(failure.points, {"height when upright": failure.height}, title))
        told = (
            "As the model saw them: drag to turn them back. The colour shows which way was up."
            if views
            else "No shape was predicted as another class in any rotation."
        )
        html = paragraphs(told)
        return Section(title="Shapes that failed", html=html, views=views, view_width=220)


def _numbers(table: Table) -> Markup:
    return render("details", title="The numbers", body=table.html())
