"""Drawings in the colours of the page that they stand on."""

import io
import re
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from pcclust._extras import require
from pcclust.report.templates import Markup

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Colours of drawings that become those of the page, which is light or dark.
INK, QUIET, RULE = "#16191d", "#59616b", "#d9dde2"
_VARIABLES = {INK: "var(--ink)", QUIET: "var(--quiet)", RULE: "var(--rule)"}
# Okabe and Ito's colours, told apart by colour-blind readers too.
SERIES = ("#0072b2", "#d55e00", "#009e73")
READABLE = 0.72  # of its full width: texts of 10 points are then 10 CSS pixels high
STYLE: dict[str, Any] = {
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "svg.fonttype": "none",
    "svg.hashsalt": "pcclust",
}


def new_figure(width: float, height: float) -> "Figure":
    """Returns an empty matplotlib figure, to be drawn in the colours of `STYLE`.

    Args:
        width: in inches, a hundredth of its width on the page in CSS pixels.
        height: in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    require("matplotlib", "reports")
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=100, layout="constrained")


def page_style() -> AbstractContextManager[None]:
    """Returns a context in which matplotlib draws in the colours of `STYLE`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    require("matplotlib", "reports")
    from matplotlib.style import context

    return context(STYLE)


def inline_svg(figure: "Figure", label: str) -> Markup:
    """Returns a figure as markup of a page, whose colours it takes.

    Args:
        figure: drawn within ``matplotlib.style.context(STYLE)``.
        label: what it shows, in one sentence, read out by screen readers.

    Example:
        >>> from matplotlib.style import context
        >>> with context(STYLE):
        ...     figure = new_figure(3, 2)
        ...     _ = figure.subplots().plot([0, 1])
        ...     drawing = inline_svg(figure, "a line")
        >>> 'role="img" aria-label="a line"' in drawing
        True
    """
    import matplotlib.style

    file = io.StringIO()
    empty = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with matplotlib.style.context(STYLE):
        figure.savefig(file, format="svg", transparent=True, metadata=empty)
    drawing = file.getvalue()
    drawing = drawing[drawing.index("<svg") + len("<svg") :]
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, variable)
    # A page holds several drawings, whose names for their parts must not meet.
    prefix = re.sub(r"\W+", "-", label.lower())
    drawing = re.sub(r'(?<= id=")|(?<="#)|(?<=url\(#)', f"{prefix}-", drawing)
    width = round(100 * figure.get_figwidth())
    # Smaller than that, its texts could not be read: then it scrolls.
    least = round(READABLE * width)
    style = f"width: 100%; min-width: {least}px; max-width: {width}px; height: auto"
    box = Markup('<div class="drawing scroller" data-what="{}">').format(label)
    head = Markup('<svg role="img" aria-label="{}" style="{}"').format(label, style)
    return box + head + Markup(drawing) + Markup("</div>")
