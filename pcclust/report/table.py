"""Tables of texts, for terminals, Markdown and pages."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pcclust._names import visible
from pcclust.report.templates import Markup, render

# A number with at most one word of unit, or the dash of a missing one.
_NUMBER = re.compile(r"[-−<≤]?\s?\d[\d.,e+−-]*(\s±\s[\d.]+)?(\s\S+)?|[–-]")


@dataclass(frozen=True)
class Table:
    """Texts in rows and columns.

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

    def html(self) -> Markup:
        """Returns an HTML table; all texts are escaped."""
        return render("table", table=self)

    def markdown(self) -> str:
        """Returns a Markdown table; all texts are escaped."""
        rule = "".join("---:|" if number else "---|" for number in self.numeric)
        lines = [_markdown_row(self.header), f"|{rule}", *map(_markdown_row, self.rows)]
        return "\n".join([f"{self.caption}\n"] * bool(self.caption) + lines)


def about_table(about: Mapping[str, str], settings: Mapping[str, int | float | str]) -> Table:
    """Returns what was tested and how, a line each."""
    rows = [
        [name, f"{value:.3g}" if isinstance(value, float) else str(value)]
        for name, value in {**about, **settings}.items()
    ]
    return Table(["made with", ""], rows)


def percent(fraction: float) -> str:
    """Writes a fraction in percent with one decimal; a dash for NaN.

    Example:
        >>> percent(0.5), percent(float("nan"))
        ('50.0', '–')
    """
    return "–" if math.isnan(fraction) else f"{100 * fraction:.1f}"


def _markdown_row(cells: Sequence[str]) -> str:
    escaped = (
        re.sub(r"([\\|*_`<\[])", r"\\\1", cell).replace("\n", " ") for cell in map(visible, cells)
    )
    return f"| {' | '.join(escaped)} |"
