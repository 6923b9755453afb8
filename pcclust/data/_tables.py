"""Tables of coordinates as text: XYZ, PTS, TXT and CSV."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._blame import ContentError

ENCODING = "utf-8-sig"  # UTF-8 with or without the mark that spreadsheet programs put first


class Layout(NamedTuple):
    """How the rows of a table are to be read."""

    delimiter: str | None
    skip_rows: int
    columns: tuple[int, int, int]
    promised: int | None
    comments: list[str]


def load_table(path: Path) -> NDArray[np.float64]:
    """Reads x, y and z from a table of numbers.

    Args:
        path: rows separated by blanks, tabs, commas or semicolons; ``#`` and ``//`` begin comments;
            a row of column names and, as in PTS files, a row with the number of points may come
            first.

    Returns:
        ``(N, 3)``: the columns named x, y and z, or the first three of a table without names.
    """
    with path.open(encoding=ENCODING) as lines:
        layout = _sniff(lines)
    points = np.loadtxt(
        path,
        dtype=np.float64,
        delimiter=layout.delimiter,
        skiprows=layout.skip_rows,
        usecols=layout.columns,
        comments=layout.comments,
        ndmin=2,
        encoding=ENCODING,
    )
    if layout.promised is not None and layout.promised != len(points):
        raise ContentError(
            f"its first row promises {layout.promised} points, but {len(points)} follow"
        )
    return points


def _sniff(lines: Iterable[str]) -> Layout:
    """Looks at the rows down to the first point."""
    promised: int | None = None
    names: list[str] | None = None
    comments = ["#"]
    for number, line in enumerate(lines):
        if "//" in line:
            comments = ["#", "//"]
        row = line.split("#")[0].split("//")[0].strip()
        if not row:
            continue
        delimiter = next((d for d in ",;" if d in row), None)
        fields = [field.strip().strip("\"'") for field in row.split(delimiter)]
        if promised is None and len(fields) == 1 and fields[0].isdigit():
            promised = int(fields[0])
        elif _is_point(fields, names):
            return Layout(delimiter, number, _xyz(fields, names), promised, comments)
        elif names is None:
            names = [field.lower() for field in fields]
        else:
            raise ContentError(f"row {number + 1} is no point: {row[:60]!r}")
    raise ContentError("holds no row of numbers")


def _is_point(fields: list[str], names: list[str] | None) -> bool:
    """Tells a row of numbers from a row of names; other columns may hold text where named."""
    wanted = _named_columns(names) or range(min(3, len(fields)))
    return all(column < len(fields) and _is_number(fields[column]) for column in wanted)


def _xyz(fields: list[str], names: list[str] | None) -> tuple[int, int, int]:
    named = _named_columns(names)
    if named is not None:
        return named
    if len(fields) < 3:
        raise ContentError(f"a point needs x, y and z, but the rows have {len(fields)} columns")
    if names is not None and (len(fields) > 3 or {"x", "y", "z"} & set(names)):
        raise ContentError(f"its columns are not named x, y and z, but {', '.join(names)[:80]}")
    return (0, 1, 2)


def _named_columns(names: list[str] | None) -> tuple[int, int, int] | None:
    if names is None or not {"x", "y", "z"} <= set(names):
        return None
    return (names.index("x"), names.index("y"), names.index("z"))


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
