"""How the rows of a table are to be read, found out from the rows down to its first point."""

import csv
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._numbers import parse_number
from pcclust.data.formats.columns import Names, columns_of, find_xyz

# Blanks (None) come last: fields may contain them.
DELIMITERS: tuple[str | None, ...] = (";", "\t", ",", "|", None)
COMMENTS = ("#", "//", "%")
XYZ = 3
MISSING = {"", "na", "n/a", "null", "none", "nan"}
SHOWN = 60  # characters of a row in messages
# What Excel writes for a value that it could not compute: "#DIV/0!", in German "#WERT!" and "#NV".
ERROR = re.compile(r"#([A-ZÀ-Ý]+(/0)?[!?]|N/A|NV)\s*($|[;,\t|\"])")


class Row(NamedTuple):
    """A line that is not empty, and its number in the file, from 1."""

    number: int
    text: str

    def is_comment(self) -> bool:
        """Whether all of it is a comment."""
        text = self.text.lstrip()
        return text.startswith(COMMENTS) and not ERROR.match(text)

    def without_comment(self) -> str:
        """Returns what is before a comment; marks in quotes begin none."""
        if self.is_comment():
            return ""
        if ("#" not in self.text and "//" not in self.text) or ERROR.search(self.text):
            return self.text
        inside = re.split(r"(\"[^\"]*\")", self.text)
        kept = []
        for at, piece in enumerate(inside):
            cut = piece if at % 2 else re.split("#|//", piece, maxsplit=1)[0]
            kept.append(cut)
            if cut != piece:
                break
        return "".join(kept).strip(" ")


class Layout(NamedTuple):
    """How the rows of points are to be read.

    Attributes:
        delimiter: between fields; None for blanks.
        columns: of x, y and z.
        width: how many columns there are.
        row: the number of the first row with a point.
        named: whether the columns have names.
        counts: whether that row may be the numbers 0, 1, 2, … of the columns.
        declared: how many points are said to follow, or None.
        declared_row: where that is said.
    """

    delimiter: str | None
    columns: tuple[int, int, int]
    width: int
    row: int
    named: bool
    counts: bool
    declared: int | None
    declared_row: int


class _Head:
    """What the rows before the first point have said."""

    def __init__(self) -> None:
        self.names: Names | None = None
        self.in_comment: Names | None = None
        self.delimiter: str | None = None  # of the names, which the points most likely have, too
        self.declared: int | None = None
        self.declared_row = 0
        self.notes: list[Row] = []


def find_layout(rows: Iterator[Row]) -> tuple[Layout, Row]:
    """Reads rows down to the first point, and returns how to read on, and that row.

    Raises:
        ContentError: there is no point, or what comes before it does not fit it.
    """
    head = _Head()
    for row in rows:
        if row.is_comment():
            _read_comment(row, head)
            continue
        text = row.without_comment()
        fields = text.split()
        if is_count(fields):
            _read_count(row, int(fields[0]), head)
        elif separator := re.fullmatch(r'"?sep=(.|\\t)"?', text, re.IGNORECASE):
            head.delimiter = separator[1].replace("\\t", "\t")
        elif not _read_names(row, text, head):
            layout = _layout(row, text, head)
            if layout:
                return layout, row
            head.notes.append(row)
    first = next((f"; row {n.number} is no point: {n.text[:SHOWN]!r}" for n in head.notes), "")
    raise ContentError(f"holds no row of numbers{first}")


def _read_comment(row: Row, head: _Head) -> None:
    text = row.text.lstrip("#/% \t")
    for wording in (text.rpartition(":")[2], text.rpartition("=")[2], text):
        found = _find_names(wording)
        if found:
            head.in_comment = Names(row.number, *found[1], commented=True)
            return


def _read_count(row: Row, count: int, head: _Head) -> None:
    if head.declared is not None:
        raise ContentError(
            f"row {head.declared_row} declares {head.declared} points, but row {row.number} is "
            f"another count, {count}"
        )
    head.declared, head.declared_row = count, row.number


def _read_names(row: Row, text: str, head: _Head) -> bool:
    found = _find_names(text)
    if found is None:
        return False
    head.delimiter, (names, xyz) = found
    head.names = Names(row.number, names, xyz, commented=False)
    return True


def _find_names(text: str) -> tuple[str | None, tuple[list[str], tuple[int, int, int]]] | None:
    for delimiter in DELIMITERS:
        fields = _try_split(text, delimiter)
        if delimiter is None:  # units, as in "X [m] Y [m] Z [m]", are words of their own
            fields = [field for field in fields if not re.fullmatch(r"[\[(].*[\])]", field)]
        found = find_xyz(fields)
        if found:
            return delimiter, found
    return None


def _layout(row: Row, text: str, head: _Head) -> Layout | None:
    """Returns how to read this row as the first point, or None if it is none."""
    narrow = 0
    named = head.names or head.in_comment
    for delimiter in (head.delimiter, *DELIMITERS):
        fields = _try_split(text, delimiter)
        if named:
            fields = without_empty_end(fields, len(named.names))
        if _is_point(fields, named):
            _refuse_notes(head, fields)
            _refuse_decimal_commas(row, text, delimiter, head)
            columns = columns_of(named, len(fields)) if named else (0, 1, 2)
            tabular = delimiter is not None or "\t" in text
            counts = tabular and fields == [str(n) for n in range(len(fields))]
            return Layout(
                delimiter,
                columns,
                len(fields),
                row.number,
                named is not None,
                counts,
                head.declared,
                head.declared_row,
            )
        if fields and all(_is_number(field) for field in fields):
            narrow = max(narrow, len(fields))
    if narrow:
        raise ContentError(f"a point needs x, y and z, but the rows have {narrow} columns")
    if head.names:
        raise ContentError(f"row {row.number} is no point: {row.text[:SHOWN]!r}")
    return None


def _is_point(fields: list[str], named: Names | None) -> bool:
    if named and len(fields) == len(named.names):
        texts = [fields[column] for column in named.xyz]
        if all(_is_number(text) or is_missing(text) for text in texts):
            return True
    return len(fields) >= XYZ and all(_is_number(text) for text in fields[:XYZ])


def _refuse_notes(head: _Head, fields: list[str]) -> None:
    """Raises where rows before the first point are neither names nor marked as comments."""
    if head.names or not head.notes:
        return
    last = head.notes[-1]
    names = next(
        (split for d in DELIMITERS if len(split := _try_split(last.text, d)) == len(fields)), None
    )
    if names and any(_is_number(name) for name in names):
        raise ContentError(f"row {last.number} is no point: {last.text[:SHOWN]!r}")
    if names:
        raise ContentError(
            f"its columns are not named x, y and z, but {', '.join(names)[:80]} (row {last.number})"
        )
    raise ContentError(
        f"row {last.number} neither is a point nor names columns x, y and z: "
        f"{last.text[:SHOWN]!r}; begin notes with #"
    )


def _refuse_decimal_commas(row: Row, text: str, delimiter: str | None, head: _Head) -> None:
    """Raises where commas may be decimal, too, as in ``0,5, 1,5, 2,5`` or ``0,05,1,5,2,5``."""
    if delimiter != "," or head.names or "." in text:
        return
    uneven = re.search(r",\s", text) and re.search(r",[^\s,]", text)
    if uneven or re.search(r",0\d", text):
        raise ContentError(
            f"row {row.number} may have decimal commas: {row.text[:SHOWN]!r}; separate the columns "
            "by semicolons, or name them in the first row"
        )


def is_missing(text: str) -> bool:
    """Whether a field says that there is no value."""
    return text.strip().strip("\"'").lower() in MISSING


def is_count(fields: Sequence[str]) -> bool:
    """Whether a row is a single whole number, which says how many points follow."""
    return len(fields) == 1 and fields[0].isascii() and fields[0].isdecimal()


def split_row(text: str, delimiter: str | None, number: int) -> list[str]:
    """Splits a row into its fields, without quotes.

    Raises:
        ContentError: quotes that do not end.
    """
    if '"' not in text:
        fields = text.split(delimiter)
    else:
        line = text if delimiter else text.replace("\t", " ")
        reader = csv.reader([line], delimiter=delimiter or " ", skipinitialspace=True, strict=True)
        try:
            (fields,) = reader
        except csv.Error as error:
            raise ContentError(
                f"the quotes in row {number} do not end: {text[:SHOWN]!r}"
            ) from error
    return fields


def without_empty_end(fields: list[str], width: int) -> list[str]:
    """Returns the fields without empty ones at the end beyond so many columns."""
    while len(fields) > width and not fields[-1].strip():
        fields = fields[:-1]
    return fields


def _try_split(text: str, delimiter: str | None) -> list[str]:
    try:
        return split_row(text, delimiter, 0)
    except ContentError:
        return []


def _is_number(field: str) -> bool:
    """Whether a field is a number, with a decimal point or a decimal comma."""
    try:
        parse_number(field.strip().strip("\"'").replace(",", ".", 1))
    except ValueError as error:
        return "exceeds" in str(error)
    return True
