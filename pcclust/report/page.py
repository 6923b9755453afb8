"""One self-contained HTML page for every report, and the tables and drawings that stand in it."""

import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from string import Template
from typing import TYPE_CHECKING, Any

from pcclust._extras import require
from pcclust.report.point_view import Section, asset, render_section

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# A number with at most one word of unit, or the dash of a missing one.
_NUMBER = re.compile(r"[-−<≤]?\s?\d[\d.,e+−-]*(\s±\s[\d.]+)?(\s\S+)?|[–-]")

# Colours of drawings that become those of the page, which is light or dark.
INK, QUIET, RULE = "#16191d", "#59616b", "#d9dde2"
_VARIABLES = {INK: "var(--ink)", QUIET: "var(--quiet)", RULE: "var(--rule)"}
# Okabe and Ito's colours, told apart by colour-blind readers too.
SERIES = ("#0072b2", "#d55e00", "#009e73")
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


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns, for terminals, Markdown and HTML.

    Attributes:
        header: the columns' names.
        rows: the cells, row by row.
        caption: one line above the table.

    Raises:
        ValueError: a row has more or fewer cells than the header.

    Example:
        >>> print(Table(["shape", "size"], [["a chair", "1.5 m"]]).markdown())
        | shape | size |
        |---|---:|
        | a chair | 1.5 m |
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    caption: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.header):
                raise ValueError(
                    f"{len(self.header)} columns, but a row of {len(row)} cells: {list(row)}"
                )

    @property
    def numeric(self) -> list[bool]:
        """Whether each column holds numbers alone, which align right."""
        return [
            all(_NUMBER.fullmatch(row[i]) for row in self.rows) for i in range(len(self.header))
        ]

    def html(self) -> str:
        """Returns an HTML table; all texts are escaped."""
        kinds = [' class="number"' if number else "" for number in self.numeric]

        def line(tag: str, cells: Sequence[str]) -> str:
            marked = [f"<{tag}{k}>{escape(c)}</{tag}>" for k, c in zip(kinds, cells, strict=True)]
            return f"<tr>{''.join(marked)}</tr>"

        title = f"<caption>{escape(self.caption)}</caption>" if self.caption else ""
        body = "\n".join(line("td", row) for row in self.rows)
        return (
            f'<div class="table"><table>{title}<thead>{line("th", self.header)}</thead>\n'
            f"<tbody>{body}</tbody></table></div>"
        )

    def markdown(self) -> str:
        """Returns a Markdown table; all texts are escaped."""
        rule = "".join("---:|" if number else "---|" for number in self.numeric)
        lines = [_markdown_row(self.header), f"|{rule}", *map(_markdown_row, self.rows)]
        return "\n".join([f"{self.caption}\n"] * bool(self.caption) + lines)


def about_table(about: Mapping[str, str], settings: Mapping[str, int | float | str]) -> Table:
    """Returns what was tested and how, a line each."""
    told = {**about, **settings}
    rows = [
        [name, f"{value:.3g}" if isinstance(value, float) else str(value)]
        for name, value in told.items()
    ]
    return Table(["made with", ""], rows)


def told_by(text: str, kind: str) -> dict[str, Any]:
    """Returns what the JSON of a report tells, without its measures, which follow from the rest.

    Raises:
        ValueError: not the JSON of a report of this kind.
    """
    told = json.loads(text)
    if not isinstance(told, dict) or told.pop("kind", None) != kind:
        raise ValueError(f"not a report of kind {kind!r}")
    del told["measures"]
    return told


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
        title: the page's title and heading, plain text.
        sections: what the page shows, in order.
        lead: one or two sentences under the heading, plain text.
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
    # Each script in a block, so that their names do not meet.
    blocks = "".join(f"{{\n{asset(f'{name}.js')}}}\n" for name in scripts)
    style = "".join(asset(f"{name}.css") for name in ("report", *styles))
    return Template(asset("report.html")).substitute(
        title=escape(title),
        lead=f'<p class="lead">{escape(lead)}</p>' if lead else "",
        style=style,
        script=f'(() => {{\n"use strict";\n{asset("point_painter.js")}{blocks}}})();',
        sections="\n".join(map(render_section, sections)),
    )


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


def inline_svg(figure: "Figure", label: str) -> str:
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
        >>> drawing.startswith('<svg role="img" aria-label="a line"')
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
    style = f"width: 100%; max-width: {width}px; height: auto"
    return f'<svg role="img" aria-label="{escape(label)}" style="{style}"{drawing}'


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = (re.sub(r"([\\|*_`<\[])", r"\\\1", cell).replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"
