"""Which columns of a table are x, y and z, by the names that the table gives them."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from pcclust.data._parse_errors import ContentError

AXES = (
    ("x", "y", "z"),
    ("px", "py", "pz"),
    *(
        tuple(pattern.format(axis) for axis in "xyz")
        for pattern in ("pos_{}", "position_{}", "coord_{}", "{}_coord", "{}_coordinate", "{}_pos")
    ),
    ("points:0", "points:1", "points:2"),  # ParaView
    ("easting", "northing", "elevation"),
    ("easting", "northing", "height"),
)
UNIT = re.compile(r"\s*[\[(][^\])]*[\])]$")


class Names(NamedTuple):
    """What a row calls the columns.

    Attributes:
        row: its number, from 1.
        names: of the columns, in lower case and without units.
        xyz: which of them are x, y and z.
        commented: whether the row is a comment, which may not mean the columns at all.
    """

    row: int
    names: list[str]
    xyz: tuple[int, int, int]
    commented: bool


def find_xyz(fields: Sequence[str]) -> tuple[list[str], tuple[int, int, int]] | None:
    """Returns the names in a row and which are x, y and z, or None where these are not among them.

    Raises:
        ContentError: one of them is there twice.

    Example:
        >>> from pcclust.data.formats.columns import find_xyz
        >>> find_xyz(["ID", "X [m]", "Y [m]", "Z [m]"])
        (['id', 'x', 'y', 'z'], (1, 2, 3))
    """
    names = [_plain(field) for field in fields]
    for wanted in AXES:
        if set(wanted) <= set(names):
            double = next((name for name in wanted if names.count(name) > 1), None)
            if double:
                raise ContentError(f"{names.count(double)} columns are named {double!r}")
            x, y, z = (names.index(name) for name in wanted)
            return names, (x, y, z)
    return None


def _plain(field: str) -> str:
    name = UNIT.sub("", field.strip().strip("\"'").strip()).lower()
    return re.sub(r"[\s.-]+", "_", name)


def columns_of(names: Names, width: int) -> tuple[int, int, int]:
    """Returns which columns are x, y and z in a table of so many.

    Args:
        names: what the table calls them.
        width: of its rows.

    Raises:
        ContentError: names that do not fit so many columns.
    """
    if len(names.names) == width:
        return names.xyz
    # A comment may name the first columns only, or be a sentence about a table of three.
    leading = names.xyz == (0, 1, 2) and len(names.names) < width
    sentence = width == len("xyz") and list(names.xyz) == sorted(names.xyz)
    if names.commented and (leading or sentence):
        return (0, 1, 2)
    raise ContentError(
        f"row {names.row} names {len(names.names)} columns ({', '.join(names.names)[:60]}), but "
        f"the rows have {width}; name each of them"
    )
