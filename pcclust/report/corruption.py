"""How accuracies under the corruptions of PointCloud-C are shown."""

from typing import ClassVar

from pcclust.data.corruptions import DGCNN, DGCNN_CLEAN, KINDS, LEVELS
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.report.base import ReportView
from pcclust.report.point_view import Section
from pcclust.report.table import Table, percent
from pcclust.report.templates import paragraphs


class CorruptionView(ReportView):
    """One table, beside the published numbers of DGCNN."""

    title: ClassVar[str] = "Corruptions"

    def __init__(self, report: CorruptionReport) -> None:
        self.report = report

    def tables(self) -> list[Table]:
        """Returns one row per corruption and one of the means."""
        report, scores = self.report, self.report.scores
        levels = [str(level) for level in LEVELS]
        header = ["corruption", *levels, "OA", "CE", "RCE", "DGCNN"]
        dash = ["–"] * len(levels)
        rows = [["none", *dash, percent(report.clean), "–", "–", percent(DGCNN_CLEAN)]]
        for kind in KINDS:
            found = [*map(percent, report.accuracies[kind]), percent(scores.accuracy[kind])]
            relative = [f"{scores.ce[kind]:.3f}", f"{scores.rce[kind]:.3f}"]
            rows.append([kind.replace("_", " "), *found, *relative, percent(DGCNN[kind])])
        published = percent(sum(DGCNN.values()) / len(DGCNN))
        means = [percent(scores.moa), f"{scores.mce:.3f}", f"{scores.rmce:.3f}", published]
        rows.append(["mean", *dash, *means])
        caption = (
            f"Accuracy in % of {report.shapes:,} shapes at levels 0 to 4, and its mean OA; "
            "the last row has mOA, mCE and RmCE"
        )
        return [Table(header, rows, caption)]

    def notes(self) -> list[str]:
        """Says what CE and RCE are."""
        return [
            "PointCloud-C: seven corruptions at five levels. CE compares the error with that of "
            "DGCNN as published, RCE what is lost against clean shapes; mCE and RmCE are their "
            "means.",
            *filter(None, [self.randomness()]),
        ]

    def lead(self) -> str:
        """Returns the two means."""
        return (
            f"PointCloud-C: mCE {self.report.scores.mce:.3f}, RmCE {self.report.scores.rmce:.3f}."
        )

    def sections(self) -> list[Section]:
        """Returns the table."""
        (table,) = self.tables()
        return [Section(title="Damaged shapes", html=paragraphs(*self.notes()) + table.html())]
