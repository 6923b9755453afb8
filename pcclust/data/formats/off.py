"""OFF: counts, vertices, and faces of any number of corners, as words.

Source: Geomview's manual, "OFF Files" (geomview.org).
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._rows import Rows, numbers, read_text, rows_of, strip_comments
from pcclust.data.mesh import Geometry, Polygons, shape_of

# "OFF", "COFF" with colours, "NOFF" with normals, "STOFF" with textures, "4OFF" with weights and
# "nOFF" with a dimension, in any order; the counts may follow without a blank, as in ModelNet40.
HEADER = re.compile(rb"\s*((?:ST|st|C|c|N|4|n)*)(?i:OFF)(?=[\s\d-]|$)")
BINARY = re.compile(rb"\s*BINARY")
DIMENSION = re.compile(rb"\s*(\d+)(?=\s)")
# The number of edges may be missing; it is not needed.
COUNTS = re.compile(
    rb"\s*(-?\d+)\s+(-?\d+)(?:[^\S\n]+-?\d+(?=\s|$)|[^\S\n]*(?:\n\s*-?\d+[^\S\n]*)?(?=\n|$))"
)


class Counts(NamedTuple):
    """What a header says of the words that follow it."""

    vertices: int
    faces: int
    coordinates: int  # 3, or 4 where the last is a weight
    width: int  # numbers of a vertex, with its normal, colour and texture

    def broken(self, rows: Rows) -> ContentError:
        """Says how the rows differ from what is declared."""
        if len(rows) == self.vertices + self.faces:
            widths = rows.words[: self.vertices]
            return ContentError(
                f"the rows of its vertices have {widths.min()} to {widths.max()} numbers; "
                f"{self.width} each are expected"
            )
        return ContentError(
            f"the OFF header declares {self.vertices} vertices and {self.faces} faces, "
            f"but {len(rows)} rows follow"
        )


def load_off(path: Path) -> Geometry:
    """Reads an OFF file; colours, normals and texture coordinates are not kept.

    Returns:
        the surface of its faces, or its vertices where it has none.

    Raises:
        ContentError: no OFF file, a binary one, one of another dimension; other words than the
            header declares; corners that are no vertices.
    """
    counts, rows = _read_header(strip_comments(read_text(path)))
    if min(counts.vertices, counts.faces) < 0 or (
        counts.vertices * counts.coordinates + counts.faces > rows.words.sum()
    ):
        raise counts.broken(rows)
    values = numbers(rows.text, int(rows.words.sum()))
    if _has_a_row_each(counts, rows):
        vertices = values[rows.offsets[: counts.vertices, None] + np.arange(counts.coordinates)]
        polygons = _faces_in_rows(counts, rows, values)
    else:
        end = counts.vertices * counts.width
        if end > len(values):
            raise counts.broken(rows)
        vertices = values[:end].reshape(-1, counts.width)[:, : counts.coordinates]
        polygons = _faces_in_words(counts, rows, values, end)
    if counts.coordinates == 4:
        with np.errstate(divide="ignore", invalid="ignore"):
            vertices = vertices[:, :3] / vertices[:, 3:]
    return shape_of(vertices, polygons)


def _read_header(text: bytes) -> tuple[Counts, Rows]:
    header = HEADER.match(text)
    kinds, place = (header[1], header.end()) if header else (b"", 0)
    if BINARY.match(text, place):
        raise ContentError("a binary OFF file, which is not read; save it as text")
    if b"n" in kinds:
        dimension = DIMENSION.match(text, place)
        if dimension is None or int(dimension[1]) != 3:
            found = dimension[1].decode() if dimension else "none"
            raise ContentError(f"an OFF file of dimension {found}; points need dimension 3")
        place = dimension.end()
    counts = COUNTS.match(text, place)
    if counts is None:
        if header is None:
            raise ContentError("not an OFF file: it does not begin with OFF")
        raise ContentError("the OFF header has no vertex and face counts")
    coordinates = 4 if b"4" in kinds else 3
    width = coordinates + 3 * (b"N" in kinds) + 4 * (b"c" in kinds.lower())
    width += 2 * (b"st" in kinds.lower())
    rows = rows_of(text[counts.end() :])
    return Counts(int(counts[1]), int(counts[2]), coordinates, width), rows


def _has_a_row_each(counts: Counts, rows: Rows) -> bool:
    """Tells whether every vertex and face has a row of its own, as is usual but need not be.

    Then the rows say what belongs together, whatever programs append to a vertex.
    """
    if len(rows) != counts.vertices + counts.faces:
        return False
    widths = rows.words[: counts.vertices]
    return counts.vertices == 0 or bool(
        (widths >= counts.coordinates).all() and (widths == widths[0]).all()
    )


def _faces_in_rows(counts: Counts, rows: Rows, values: NDArray[np.float64]) -> Polygons:
    begins = rows.offsets[counts.vertices :]
    words = rows.words[counts.vertices :]
    sizes = values[begins]
    broken = ~((sizes >= 0) & (sizes < words) & (sizes == np.floor(sizes)))
    if broken.any():
        row = int(broken.argmax())
        last = "last " if row == counts.faces - 1 else ""
        line = rows.shown(counts.vertices + row)
        raise ContentError(f"the {last}OFF face is cut off: {line}")
    return _polygons(values, begins + 1, sizes.astype(np.int64))


def _faces_in_words(counts: Counts, rows: Rows, values: NDArray[np.float64], end: int) -> Polygons:
    """Reads faces that do not have a row each; a colour of a face ends with its row."""
    row_ends = np.repeat(rows.offsets + rows.words, rows.words)
    for coloured in (False, True):
        begins, sizes, place = list[int](), list[int](), end
        while len(sizes) < counts.faces and place < len(values):
            if not (values[place] >= 0 and values[place] == np.floor(values[place])):
                break
            begins.append(place + 1)
            sizes.append(int(min(values[place], len(values))))
            place += 1 + sizes[-1]
            if coloured and place <= len(values):
                place = int(row_ends[place - 1])
        if place == len(values) and len(sizes) == counts.faces:
            return _polygons(values, np.array(begins, np.int64), np.array(sizes, np.int64))
    raise counts.broken(rows)


def _polygons(
    values: NDArray[np.float64], begins: NDArray[np.int64], sizes: NDArray[np.int64]
) -> Polygons:
    """Takes polygons whose corners begin at some places of the values."""
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    named = values[np.repeat(begins, sizes) + within]
    whole = (named == np.floor(named)) & (abs(named) < 2**53)
    if not whole.all():
        raise ContentError(f"a face names vertex {named[~whole][0]}, which is no whole number")
    return Polygons(named.astype(np.int64), sizes)
