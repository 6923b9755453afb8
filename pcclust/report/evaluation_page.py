"""One page of all that was found about a model."""

from collections.abc import Sequence

from pcclust.report.base import ReportView, Saved
from pcclust.report.page import render_page
from pcclust.report.point_view import Section
from pcclust.report.registry import view_of
from pcclust.report.table import about_table
from pcclust.report.templates import Markup


def evaluation_page(*reports: Saved) -> str:
    """Returns one self-contained page of reports of one model.

    Args:
        *reports: of kinds that `pcclust.report.registry` knows, in the order in which they are to
            be shown.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no report is given, or one of an unknown kind.
    """
    if not reports:
        raise ValueError("a page needs a report of rotations, of corruptions or of probes")
    views = [view_of(report) for report in reports]
    sections = [section for view in views for section in view.sections()]
    sections.append(_made(views))
    model = reports[0].about.get("model", "a model")
    return render_page(f"{model}, tested", sections, lead=" ".join(view.lead() for view in views))


def _made(views: Sequence[ReportView]) -> Section:
    abouts = [view.report.about for view in views]
    commands = [about["command"] for about in abouts if "command" in about]
    made = [Markup("<pre>{}</pre>").format(command) for command in commands]
    tables = [about_table(view.report.about, view.report.settings).html() for view in views]
    return Section(title="How it was made", html=Markup("").join([*made, *tables]))
