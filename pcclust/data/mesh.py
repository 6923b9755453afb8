"""A surface of triangles, and how vertices and polygons of a file become one."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError, check_finite
from pcclust.data.triangulate import triangulate


class Mesh(NamedTuple):
    """A surface of triangles.

    Attributes:
        vertices: ``(V, 3)`` float64.
        faces: ``(F, 3)`` int64, the vertices of each triangle, from 0.
    """

    vertices: NDArray[np.float64]
    faces: NDArray[np.int64]


Geometry: TypeAlias = Mesh | NDArray[np.float64]


class Polygons(NamedTuple):
    """Polygons of any number of corners.

    Attributes:
        corners: ``(ΣS,)`` int64, the vertices of all polygons, one polygon after the other.
        sizes: ``(P,)`` int64, how many corners each has.
    """

    corners: NDArray[np.int64]
    sizes: NDArray[np.int64]

    @classmethod
    def join(cls, parts: Sequence["Polygons"]) -> "Polygons":
        """Returns the polygons of all parts in a row."""
        none = np.empty(0, np.int64)
        return cls(
            np.concatenate([none, *(part.corners for part in parts)]),
            np.concatenate([none, *(part.sizes for part in parts)]),
        )

    @classmethod
    def triangles(cls, faces: NDArray[np.integer]) -> "Polygons":
        """Returns the triangles ``(F, 3)`` as polygons."""
        return cls(faces.reshape(-1).astype(np.int64), np.full(len(faces), 3, np.int64))


def shape_of(vertices: NDArray[np.float64], polygons: Polygons, *, first: int = 0) -> Geometry:
    """Returns the surface of a file's polygons or, where they have none, its vertices.

    Args:
        vertices: ``(V, 3)``.
        polygons: those of fewer than three corners have no surface.
        first: the number by which the file's format calls its first vertex, for messages.

    Raises:
        ContentError: no vertices; a corner that is no vertex, or one that is not finite.
    """
    if len(vertices) == 0:
        raise ContentError("holds no vertices: it is empty, cut off or of another format")
    corners = polygons.corners
    if len(corners):
        lowest, highest = int(corners.min()), int(corners.max())
        if lowest < 0 or highest >= len(vertices):
            wrong = (lowest if lowest < 0 else highest) + first
            raise ContentError(
                f"a face names vertex {wrong}, but the {len(vertices)} vertices are "
                f"{first} to {len(vertices) - 1 + first}"
            )
    if not (polygons.sizes >= 3).any():
        return vertices
    if not np.isfinite(vertices).all():
        used = np.unique(corners)
        named = np.full_like(vertices, 0)
        named[used] = vertices[used]
        check_finite(named, "is not finite", "vertices")
    return Mesh(vertices, triangulate(vertices, polygons.corners, polygons.sizes))
