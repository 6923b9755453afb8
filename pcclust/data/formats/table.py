"""Tables of coordinates as text: XYZ, PTS, TXT and CSV."""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._numbers import parse_number
from pcclust.data.formats.table_layout import (
    SHOWN,
    XYZ,
    Layout,
    Row,
    find_layout,
    is_count,
    is_missing,
    split_row,
    without_empty_end,
)
from pcclust.data.formats.text import text_lines

LINES_AT_ONCE = 1 << 16
# Where one of these is in a line, it may be more than numbers and delimiters.
MARKS = ('"', "#", "//", "%")
THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")


def load_table(path: Path) -> NDArray[np.float64]:
    """Reads x, y and z from a table of numbers.

    Args:
        path: rows separated by blanks, tabs, commas, semicolons or bars, the decimals by points or
            commas, fields in quotes or not. ``#``, ``//`` and ``%`` begin comments. Names of the
            columns may stand in any row before the first point, in a comment, too; and, as in PTS
            files, the number of points before them.

    Returns:
        ``(N, 3)``: the columns named x, y and z, or the first three of a table without names. What
        is missing (empty, NA) is NaN.

    Raises:
        ContentError: a row that is no point, rows of different width, names without x, y and z,
            another number of points than declared; the message says in which row.
    """
    lines = text_lines(path.read_bytes())
    layout, first = find_layout(_rows(lines, 1))
    body = _Body(layout)
    points = [body.read([first.text], first.number)]
    number = first.number + 1
    while piece := list(islice(lines, LINES_AT_ONCE)):
        points.append(body.read(piece, number))
        number += len(piece)
    body.finish()
    if body.point and not layout.named:
        _refuse_numbering(np.concatenate(points), layout)
    return np.concatenate(points)


def _refuse_numbering(points: NDArray[np.float64], layout: Layout) -> None:
    """Raises where a table without names of numbers with decimals numbers its columns or rows."""
    if layout.counts:
        raise ContentError(
            f"row {layout.row} seems to number the columns, as pandas does where they have no "
            "names: name them x, y and z there, or write 0.0 if it is a point"
        )
    numbers = np.arange(len(points)) + (points[0, 0] == 1)
    if layout.width > XYZ and len(points) > XYZ and np.array_equal(points[:, 0], numbers):
        raise ContentError(
            "its first column seems to number the rows: name the columns in the first row, x, y "
            "and z among them"
        )


def _rows(lines: Iterable[str], first: int) -> Iterator[Row]:
    """Yields the lines that are not empty, with their numbers."""
    for number, line in enumerate(lines, first):
        if line.strip():
            yield Row(number, line.strip("\n").strip(" "))


class _Cells(NamedTuple):
    """The fields of x, y and z of many rows, one after the other, and the numbers of the rows."""

    texts: list[str]
    rows: list[int]


class _Body:
    """Reads the rows of points, and remembers what rows far apart must have in common."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.declared, self.declared_row, self.found = layout.declared, layout.declared_row, 0
        self.point, self.comma = 0, 0  # the first rows with a decimal point, and with a comma
        self.decimal = False  # whether a comma was decimal for certain

    def read(self, lines: list[str], first: int) -> NDArray[np.float64]:
        """Returns the points in lines ``(N, 3)``, of which the first has this number."""
        points = self._read_fast(lines)
        if points is None:
            return self._read_slowly(lines, first)
        self.found += len(points)
        if not self.point and (points != np.round(points)).any():
            self.point = first
        return points

    def finish(self) -> None:
        """Raises ContentError where another number of points was declared than found."""
        if self.declared is not None and self.declared != self.found:
            raise ContentError(
                f"row {self.declared_row} declares {self.declared} points, but {self.found} follow"
            )

    def _read_fast(self, lines: list[str]) -> NDArray[np.float64] | None:
        """Returns the points where all lines are plain numbers, None where they may be more."""
        text = "".join(lines)
        if any(mark in text for mark in MARKS):
            return None
        kept = [line for line in lines if not line.isspace()]
        delimiter, width = self.layout.delimiter, self.layout.width
        if delimiter is None:
            even = all(len(line.split()) == width for line in kept)
        else:
            even = all(line.count(delimiter) == width - 1 for line in kept)
        if not even or not kept:
            return None
        try:
            points = np.loadtxt(
                kept, delimiter=delimiter, usecols=self.layout.columns, comments=None, ndmin=2
            )
        except ValueError:
            return None
        return None if np.isinf(points).any() else points  # 1e400 gives inf, too

    def _read_slowly(self, lines: list[str], first: int) -> NDArray[np.float64]:
        cells = _Cells([], [])
        for row in _rows(lines, first):
            text = row.without_comment()
            fields = split_row(text, self.layout.delimiter, row.number) if text else []
            if self.declared is not None and is_count(fields):
                self.finish()
                self.declared, self.declared_row, self.found = int(fields[0]), row.number, 0
            elif fields:
                fields = without_empty_end(fields, self.layout.width)
                self._check_width(row, fields)
                self.found += 1
                cells.texts.extend(fields[column] for column in self.layout.columns)
                cells.rows.append(row.number)
        self._check_decimals(cells)
        values = [_number(cells, at) for at in range(len(cells.texts))]
        return np.array(values, dtype=np.float64).reshape(-1, XYZ)

    def _check_width(self, row: Row, fields: list[str]) -> None:
        if len(fields) == self.layout.width:
            return
        more = self.layout.delimiter == "," and len(fields) > self.layout.width
        hint = "; commas in texts or numbers need quotes" if more else ""
        raise ContentError(
            f"row {row.number} has {len(fields)} columns, but row {self.layout.row} has "
            f"{self.layout.width}: {row.text[:SHOWN]!r}{hint}"
        )

    def _check_decimals(self, cells: _Cells) -> None:
        self.point = self.point or _first_with(".", cells)
        self.comma = self.comma or _first_with(",", cells)
        if self.point and self.comma:
            raise ContentError(
                f"row {self.point} has decimal points and row {self.comma} decimal commas, so one "
                "of them separates thousands: write all numbers in one way"
            )
        if self.layout.delimiter == "," and not self.decimal:
            self._check_thousands(cells)

    def _check_thousands(self, cells: _Cells) -> None:
        """Raises where the commas in quoted numbers may separate thousands, as in "1,234"."""
        commas = [at for at, text in enumerate(cells.texts) if "," in text]
        self.decimal = any(not THOUSANDS.fullmatch(cells.texts[at].strip()) for at in commas)
        if commas and not self.decimal:
            text, row = cells.texts[commas[0]], cells.rows[commas[0] // XYZ]
            raise ContentError(
                f"row {row} has the number {text!r}, whose comma may separate thousands or "
                "decimals: write it without, or with a decimal point"
            )


def _first_with(mark: str, cells: _Cells) -> int:
    """Returns the number of the first row with a mark in its numbers, 0 where there is none."""
    at = next((at for at, text in enumerate(cells.texts) if mark in text), None)
    return 0 if at is None else cells.rows[at // XYZ]


def _number(cells: _Cells, at: int) -> float:
    text = cells.texts[at].strip().strip("\"'")
    if is_missing(text):
        return math.nan
    try:
        return parse_number(text.replace(",", ".", 1))
    except ValueError as error:
        axis, row = "xyz"[at % XYZ], cells.rows[at // XYZ]
        raise ContentError(f"row {row} is no point: its {axis} {error}") from None
