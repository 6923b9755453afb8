"""The kinds of reports that can be saved, read again and shown: a row each."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.linear_report import LinearReport
from pcclust.evaluate.rotation_report import RotationReport
from pcclust.report.base import ReportView, Saved
from pcclust.report.corruption import CorruptionView
from pcclust.report.linear import LinearView
from pcclust.report.rotation import RotationView


class ReportKind(NamedTuple):
    """A kind of report.

    Attributes:
        report: what was found.
        view: how that is shown.
    """

    report: type[Saved]
    view: Callable[[Any], ReportView]


# In the order in which a page shows them.
REPORTS: Mapping[str, ReportKind] = MappingProxyType(
    {
        kind.report.KIND: kind
        for kind in (
            ReportKind(RotationReport, RotationView),
            ReportKind(CorruptionReport, CorruptionView),
            ReportKind(LinearReport, LinearView),
        )
    }
)


def view_of(report: Saved) -> ReportView:
    """Returns how a report is shown.

    Raises:
        ValueError: it is of an unknown kind.
    """
    if report.KIND not in REPORTS:
        raise ValueError(f"reports of the kind {report.KIND!r} are none of {', '.join(REPORTS)}")
    return REPORTS[report.KIND].view(report)
