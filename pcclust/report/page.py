"""One self-contained HTML page for every report."""

from collections.abc import Sequence

from pcclust.report.point_view import Section, viewer_data
from pcclust.report.templates import Markup, asset, render


def render_page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: str = "",
    scripts: Sequence[str] = ("point_view",),
    styles: Sequence[str] = (),
) -> str:
    """Returns a self-contained HTML page, light or dark as the reader's system is.

    Args:
        title: the page's title and heading.
        sections: what the page shows, in order.
        lead: one or two sentences under the heading.
        scripts: which of this package's scripts run, after that which draws points.
        styles: which of its styles are added to that of all reports.

    Returns:
        The page's text, to be written as UTF-8.

    Raises:
        ValueError: the views of a section have different channels.

    Example:
        >>> from pcclust.report.point_view import PointView, Section
        >>> view = PointView([[0, 0, 0], [1, 0, 0]], [0.5, 2], title="pole")
        >>> page = render_page("Heights", [Section(title="A pole", views=[view])])
        >>> page.startswith("<!doctype html>"), "http" in page
        (True, False)
    """
    return render(
        "report",
        title=title,
        lead=lead,
        sections=[(section, viewer_data(section)) for section in sections],
        style=Markup("").join(asset(f"{name}.css") for name in ("report", *styles)),
        painter=asset("point_painter.js"),
        frames=asset("point_frames.js"),
        scrollers=asset("scrollers.js"),
        scripts=[asset(f"{name}.js") for name in scripts],
    )
