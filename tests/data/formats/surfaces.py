"""What the tests of mesh formats ask of a surface."""

import numpy as np

from pcclust.data import Mesh


def corners(shape):
    """The corners of a mesh's triangles, ``(F, 3, 3)``."""
    assert isinstance(shape, Mesh), "a cloud, not a surface"
    assert shape.vertices.dtype == np.float64
    assert shape.faces.dtype == np.int64
    return shape.vertices[shape.faces]


def crosses(shape):
    """Twice the area of each triangle, as vectors along the normals."""
    a, b, c = np.moveaxis(corners(shape), 1, 0)
    return np.cross(b - a, c - a)


def area(shape):
    return np.linalg.norm(crosses(shape), axis=1).sum() / 2


def sorted_triangles(triangles):
    """Triangles ``(F, 3, 3)`` in an order of their own, each begun at its least corner."""
    rows = []
    for triangle in np.asarray(triangles).tolist():
        first = triangle.index(min(triangle))
        rows.append(triangle[first:] + triangle[:first])
    return np.array(sorted(rows))
