"""Wavefront OBJ: vertices and faces, in lines that begin with a keyword.

Source: Wavefront Technologies, "Advanced Visualizer manual", appendix B1, "Object files".
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._rows import Rows, numbers, read_text, rows_of, strip_comments
from pcclust.data.mesh import Geometry, Polygons, shape_of

PIECE = 1 << 24  # bytes that are looked at together
# Of what has no surface of its own: names, materials, normals, lines, and how curves are drawn.
IGNORED = frozenset(
    b"vt vn vp l p g s o mg usemtl usemap mtllib maplib bevel c_interp d_interp lod shadow_obj "
    b"trace_obj ctech stech cstype deg bmat step parm trim hole scrv sp end con".split()
)
# Of what has one that is no polygon, or that is in another file.
REFUSED = {
    **dict.fromkeys((b"curv", b"curv2", b"surf", b"bzp", b"bsp", b"cdc", b"cdp", b"res"), "curved"),
    **dict.fromkeys((b"call", b"csh"), "kept elsewhere"),
}
TEXTURE_AND_NORMAL = re.compile(rb"/\S*")


class Piece(NamedTuple):
    """Some lines of a file: their vertices, and the faces that refer to all before them."""

    vertices: NDArray[np.float64]
    polygons: Polygons


def load_obj(path: Path) -> Geometry:
    """Reads an OBJ file: all its objects and groups; materials are not looked for.

    Returns:
        the surface of its faces (``f`` and the older ``fo``), or its vertices where it has none.

    Raises:
        ContentError: a line that is no statement of OBJ; curved surfaces; corners that are none.
    """
    # A comment that ends with a backslash, as that of a path may, does not run on.
    text = strip_comments(read_text(path).lower()).replace(b"\\\n", b" ")
    found: list[Piece] = []
    before = 0
    for piece in _pieces(text):
        found.append(_read(rows_of(piece), before))
        before += len(found[-1].vertices)
    vertices = np.concatenate([np.empty((0, 3)), *(piece.vertices for piece in found)])
    return shape_of(vertices, Polygons.join([piece.polygons for piece in found]), first=1)


def _pieces(text: bytes) -> Iterator[bytes]:
    """Cuts a long text after ends of lines."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin + PIECE) + 1 or len(text)
        yield text[begin:end]
        begin = end


def _read(rows: Rows, before: int) -> Piece:
    """Reads lines that ``before`` vertices precede."""
    keys = _keywords(rows)
    vertices = keys == _key(b"v")
    faces = (keys == _key(b"f")) | (keys == _key(b"fo"))
    _check_keywords(rows, keys, vertices | faces)
    points = _read_vertices(rows, vertices)
    known = before + np.cumsum(vertices)[faces]
    return Piece(points, _read_faces(rows, faces, known))


def _keywords(rows: Rows) -> NDArray[np.uint64]:
    """Returns the first eight bytes of each line's first word, as a number."""
    characters = np.frombuffer(rows.text + bytes(8), np.uint8)
    keys = np.zeros(len(rows), np.uint64)
    within = np.ones(len(rows), dtype=bool)
    for place in range(8):
        letters = characters[rows.starts + place]
        within &= letters > 32
        keys |= np.where(within, letters, 0).astype(np.uint64) << np.uint64(8 * place)
    return keys


def _key(keyword: bytes) -> int:
    return int.from_bytes(keyword[:8], "little")


def _check_keywords(rows: Rows, keys: NDArray[np.uint64], known: NDArray[np.bool_]) -> None:
    ignored = {_key(keyword) for keyword in IGNORED}
    for key in np.unique(keys[~known]).tolist():
        if key in ignored:
            continue
        line = rows.shown(int((keys == key).argmax()))
        for keyword, kind in REFUSED.items():
            if key == _key(keyword):
                raise ContentError(
                    f"its line {line} has a surface that is {kind}, which is not read; "
                    "export it as polygons"
                )
        raise ContentError(f"its line {line} is no statement of OBJ")


def _read_vertices(rows: Rows, chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    counts = rows.words[chosen] - 1
    if (counts < 3).any():
        row = np.flatnonzero(chosen)[(counts < 3).argmax()]
        raise ContentError(f"a vertex needs x, y and z, but a line is {rows.shown(int(row))}")
    values = numbers(_arguments(rows, chosen, keyword=1), int(counts.sum()))
    first = np.cumsum(counts) - counts
    return np.asarray(values[first[:, None] + np.arange(3)])


def _read_faces(rows: Rows, chosen: NDArray[np.bool_], known: NDArray[np.int64]) -> Polygons:
    """Reads faces; ``known`` is how many vertices come before each, from which -1 counts back."""
    sizes = rows.words[chosen] - 1
    lines = np.flatnonzero(chosen)
    if (sizes < 3).any():
        raise ContentError(
            "a face needs 3 corners or more, but a line is "
            f"{rows.shown(int(lines[(sizes < 3).argmax()]))}"
        )
    text = TEXTURE_AND_NORMAL.sub(b"", _arguments(rows, chosen, keyword=2))
    corners = numbers(text, int(sizes.sum()), np.int64).astype(np.int64)
    known = np.repeat(known, sizes)
    places = np.where(corners > 0, corners - 1, known + corners)
    wrong = (corners == 0) | (places < 0)
    if wrong.any():
        row = np.repeat(lines, sizes)[wrong.argmax()]
        raise ContentError(
            f"its line {rows.shown(int(row))} names vertex {corners[wrong.argmax()]}, but "
            f"{known[wrong.argmax()]} come before it, and they count from 1 or back from -1"
        )
    return Polygons(places, sizes)


def _arguments(rows: Rows, chosen: NDArray[np.bool_], keyword: int) -> bytes:
    """Returns the text of only the chosen lines, without the letters of their keywords."""
    if not chosen.any():
        return b""
    characters = np.frombuffer(rows.text, np.uint8).copy()
    lengths = np.diff(rows.starts, append=len(characters))
    hidden = np.concatenate([np.ones(rows.starts[0], dtype=bool), np.repeat(~chosen, lengths)])
    characters[hidden] = 32
    for place in range(keyword):
        letters = rows.starts[chosen] + place
        characters[letters] = 32
    return characters.tobytes()
