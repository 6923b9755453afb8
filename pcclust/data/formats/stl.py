"""STL: triangles, binary or as text, told apart by the length that a binary file has.

Source: 3D Systems, "StereoLithography interface specification" (1989).
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats._rows import numbers, read_text
from pcclust.data.mesh import Geometry, Polygons, shape_of

TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
HEAD = 84  # bytes before the triangles: 80 of any text, and their number
TEXT = re.compile(rb"\s*(?i:solid|facet)(?!\S)")
# A solid's line with its name, which may have any words, or a facet with its corners.
PART = re.compile(
    rb"(?i)\s*(?:(?P<end>end\s*)?solid(?!\S)[^\n]*?(?=\sfacet\s+normal\s|\n|\Z)"
    rb"|facet(?:\s+normal(?:\s+\S+){3})?\s+outer\s+loop"
    rb"(?P<corners>(?:\s+vertex(?:\s+[-+.\w()]+){3})+)\s+end\s*loop\s+end\s*facet(?!\S))"
)


def load_stl(path: Path) -> Geometry:
    """Reads an STL file: all its solids; a few bytes after a binary file's triangles are allowed.

    Raises:
        ContentError: no STL file, text that breaks the grammar, or another number of triangles than
            a binary file declares.
    """
    content = path.read_bytes()
    declared = int.from_bytes(content[80:HEAD], "little")
    needed = HEAD + declared * TRIANGLE.itemsize
    if len(content) != needed and _is_text(content):
        return _load_text(read_text(path))
    if len(content) < max(needed, HEAD):
        raise ContentError(
            f"not an STL file, or cut off: {len(content)} bytes cannot hold the {declared} "
            "triangles that its header declares"
        )
    spare = content[needed:]
    if len(spare) and len(spare) % TRIANGLE.itemsize == 0 and spare.strip(b"\0"):
        found = declared + len(spare) // TRIANGLE.itemsize
        raise ContentError(f"its header declares {declared} triangles, but {found} follow")
    corners = np.frombuffer(content, TRIANGLE, declared, HEAD)["corners"].reshape(-1, 3)
    return shape_of(corners.astype(np.float64), _in_turn(np.full(declared, 3, np.int64)))


def _is_text(content: bytes) -> bool:
    """Tells text from binary that begins with the same word, by a zero among its first bytes.

    A binary file has one in its number of triangles, unless these are 16 million.
    """
    marked = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    start = content[:3].removeprefix(b"\xef\xbb\xbf") + content[3 : 4 * HEAD]
    return marked or (TEXT.match(start) is not None and b"\0" not in content[:HEAD])


def _load_text(text: bytes) -> Geometry:
    loops, place, opened = list[bytes](), 0, 0
    for part in PART.finditer(text):
        if part.start() != place:
            break
        place = part.end()
        if part["corners"] is not None:
            loops.append(part["corners"].lower())
        else:
            opened += -1 if part["end"] else 1
    if text[place:].strip():
        line = b" ".join(text[place : place + 200].split())[:60].decode(errors="replace")
        raise ContentError(f"the STL text breaks its grammar, or is cut off, at {line!r}")
    if opened != 0:
        raise ContentError("the STL text is cut off: a solid has no endsolid")
    sizes = np.array([loop.count(b"vertex") for loop in loops], np.int64)
    if (sizes < 3).any():
        raise ContentError(f"an STL facet has {sizes.min()} corners, not 3")
    corners = numbers(b"".join(loops).replace(b"vertex", b""), 3 * int(sizes.sum()))
    return shape_of(corners.reshape(-1, 3), _in_turn(sizes))


def _in_turn(sizes: NDArray[np.int64]) -> Polygons:
    """Returns polygons that each have vertices of their own, in a row."""
    return Polygons(np.arange(sizes.sum()), sizes)
