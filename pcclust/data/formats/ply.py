"""PLY: vertices, and faces or triangle strips, as text or binary, with any other properties."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.formats.ply_body import Table, read_body
from pcclust.data.formats.ply_header import read_header
from pcclust.data.formats.strips import triangles_of_strips
from pcclust.data.mesh import Geometry, Polygons, shape_of

CORNERS = ("vertex_indices", "vertex_index")
# Of these, lists of vertices are no surface: lines, and the pixels of range images.
NO_SURFACE = ("edge", "range_grid")


def load_ply(path: Path) -> Geometry:
    """Reads a PLY file of any byte order, its properties in any order and case.

    Returns:
        the surface of its elements ``face`` and ``tristrips``, or its vertices where it has none.

    Raises:
        ContentError: no PLY file; vertices without x, y and z; elements with corners that are not
            known; less or more than the header declares; corners that are no vertices.
    """
    content = path.read_bytes()
    header = read_header(content)
    tables = read_body(content, header)
    if "vertex" not in tables:
        raise ContentError(
            "the PLY header has no element 'vertex', but "
            f"{', '.join(repr(name) for name in tables) or 'none'}"
        )
    vertices = _read_vertices(tables["vertex"])
    polygons = [
        _read_surface(table)
        for name, table in tables.items()
        if name not in ("vertex", *NO_SURFACE) and table.element.instances
    ]
    return shape_of(vertices, Polygons.join(polygons))


def _read_surface(table: Table) -> Polygons:
    match table.element.name:
        case "face":
            return _read_polygons(table)
        case "tristrips":
            return triangles_of_strips(_read_polygons(table))
        case name if _find_corners(table) is not None:
            raise ContentError(f"its PLY elements {name!r} have corners, but are not known")
    return Polygons.join([])


def _read_vertices(table: Table) -> NDArray[np.float64]:
    places = {p.name: place for place, p in enumerate(table.element.properties) if p.length is None}
    if not {"x", "y", "z"} <= places.keys():
        raise ContentError(
            f"its PLY vertices have no properties x, y and z, but {table.element.names}"
        )
    return np.stack([table.values(places[axis]).astype(np.float64) for axis in "xyz"], axis=1)


def _read_polygons(table: Table) -> Polygons:
    place = _find_corners(table)
    if place is None:
        raise ContentError(
            f"its PLY elements {table.element.name!r} have no list vertex_indices, but "
            f"{table.element.names}"
        )
    values = table.values(place)
    with np.errstate(invalid="ignore"):  # what is no whole number differs from what becomes of it
        corners = values.astype(np.int64)
    if (corners != values).any():
        raise ContentError(
            f"a face names vertex {values[corners != values][0]}, which is no whole number"
        )
    return Polygons(corners, table.lengths(place))


def _find_corners(table: Table) -> int | None:
    for place, listed in enumerate(table.element.properties):
        if listed.name in CORNERS and listed.length is not None:
            return place
    return None
