"""Polygons cut into triangles, concave ones too."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

# Of areas, where the extent of a polygon is 1: below it, an area is what rounding leaves of zero.
FLAT = 1e-13
CORNERS_AT_ONCE = 1 << 18  # a few dozen megabytes of coordinates


def triangulate(
    vertices: NDArray[np.float64], corners: NDArray[np.int64], sizes: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Cuts polygons into triangles that cover them, in the polygons' order.

    A polygon of S corners gives S - 2 triangles, all with the polygon's orientation: a fan about
    its first corner where that covers it, else by clipping ears, in the projection on its Newell
    plane (the plane whose normal is the sum of the cross products of successive corners). Polygons
    of fewer than three corners give none. Of a polygon that crosses itself the triangles are some
    that use each of its corners.

    Source: Meisters, "Polygons have ears" (1975); Sutherland, Sproull and Schumacker, "A
    characterization of ten hidden-surface algorithms" (1974), for Newell's normal.

    Args:
        vertices: ``(V, 3)``, finite where corners name them.
        corners: ``(ΣS,)``, the vertices of all polygons, one polygon after the other.
        sizes: ``(P,)``, how many corners each polygon has.

    Returns:
        ``(T, 3)`` int64, the vertices of each triangle.

    Example:
        >>> import numpy as np
        >>> from pcclust.data.triangulate import triangulate
        >>> arrow = np.array([[1, 0, 0], [0.2, 0.2, 0], [0, 1, 0], [-1, -1, 0]])
        >>> triangulate(arrow, np.arange(4), np.array([4])).tolist()
        [[3, 0, 1], [3, 1, 2]]
    """
    starts = np.cumsum(sizes) - sizes
    triangles, owners = [np.empty((0, 3), np.int64)], [np.empty(0, np.int64)]
    for rows in _equal_sizes(sizes):
        size = int(sizes[rows[0]])
        polygons = corners[starts[rows, None] + np.arange(size)]
        triangles.append(_cut(vertices, polygons).reshape(-1, 3))
        owners.append(np.repeat(rows, size - 2))
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(triangles)[order]


def _equal_sizes(sizes: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yields rows of polygons of equal size, not too many at once."""
    for size in np.unique(sizes[sizes >= 3]):
        rows = np.flatnonzero(sizes == size)
        step = max(1, CORNERS_AT_ONCE // int(size))
        for begin in range(0, len(rows), step):
            yield rows[begin : begin + step]


def _cut(vertices: NDArray[np.float64], polygons: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cuts polygons ``(P, S)`` into ``(P, S - 2, 3)``."""
    size = polygons.shape[1]
    last = np.arange(1, size - 1)
    fan = np.stack([np.zeros_like(last), last, last + 1], axis=1)
    triangles = polygons[:, fan]
    if size > 3:
        flat = _project(vertices[polygons])
        a, b, c = (flat[:, fan[:, corner]] for corner in range(3))
        # Signed triangles that add up to a simple polygon and are all positive cover it once.
        folded = np.flatnonzero((_doubled_area(a, b, c) < -FLAT).any(axis=1))
        ears = _clip_ears(flat[folded])
        triangles[folded] = polygons[folded[:, None, None], ears]
    return triangles


def _project(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Projects polygons ``(P, S, 3)`` on their planes, counter-clockwise, with extent 1."""
    points = points - points[:, :1]
    extent = abs(points).max(axis=(1, 2), keepdims=True)
    points = points / np.where(extent > 0, extent, 1)
    normal = np.cross(points, np.roll(points, -1, axis=1)).sum(axis=1)
    # Any axis serves for a polygon without area; the one least along the normal is far from it.
    axis = np.eye(3)[abs(normal).argmin(axis=1)]
    right = np.cross(axis, normal)
    up = np.cross(normal, right)
    plane = np.stack([right, up], axis=2)
    length = np.linalg.norm(plane, axis=1, keepdims=True)
    return points @ (plane / np.where(length > 0, length, 1))


def _doubled_area(
    a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Returns twice the signed area of triangles ``(..., 2)``, positive counter-clockwise."""
    ab, ac = b - a, c - a
    return np.asarray(ab[..., 0] * ac[..., 1] - ab[..., 1] * ac[..., 0])


def _clip_ears(flat: NDArray[np.float64]) -> NDArray[np.int64]:
    """Cuts simple polygons ``(P, S, 2)``, counter-clockwise, into corners ``(P, S - 2, 3)``.

    All polygons are cut in step, each with a queue of corners that may be ears: every corner once,
    and again where a neighbour was cut off, which alone can make it an ear. Where rounding, or a
    polygon that touches itself, leaves none, the polygon grows more lenient and asks all again:
    first other corners may lie on the border of an ear, then inside, then anything is an ear.
    """
    count, size = flat.shape[:2]
    before = np.tile(np.roll(np.arange(size), 1), (count, 1))
    after = np.tile(np.roll(np.arange(size), -1), (count, 1))
    left = np.ones((count, size), dtype=bool)
    ears = np.empty((count, size - 2, 3), np.int64)
    queue = np.tile(np.arange(3 * size) % size, (count, 1))
    head, found, lenience = (np.zeros(count, np.int64) for _ in range(3))
    tail = np.full(count, size)
    rows = np.arange(count)
    while len(rows):
        tip = queue[rows, head[rows]]
        head[rows] += 1
        ear = np.stack([before[rows, tip], tip, after[rows, tip]], axis=1)
        is_ear = left[rows, tip] & _are_ears(flat[rows], ear, left[rows], lenience[rows])
        cut, (a, b, c) = rows[is_ear], ear[is_ear].T
        ears[cut, found[cut]] = ear[is_ear]
        after[cut, a], before[cut, c], left[cut, b] = c, a, False
        queue[cut, tail[cut]], queue[cut, tail[cut] + 1] = a, c
        found[cut], tail[cut] = found[cut] + 1, tail[cut] + 2
        rows = rows[found[rows] < size - 2]
        stuck = rows[head[rows] == tail[rows]]
        queue[stuck, :size] = np.arange(size)
        head[stuck], tail[stuck], lenience[stuck] = 0, size, lenience[stuck] + 1
    return ears


def _are_ears(
    flat: NDArray[np.float64],
    ear: NDArray[np.int64],
    left: NDArray[np.bool_],
    lenience: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tells for corners ``ear`` ``(P, 3)`` whether none of those ``left`` is in the way."""
    corners = np.take_along_axis(flat, ear[:, :, None], axis=1)
    a, b, c = corners[:, :1], corners[:, 1:2], corners[:, 2:]
    area = _doubled_area(a, b, c)[:, 0]
    inside = left.copy()
    border = np.where(lenience == 0, 0, np.nextafter(0, 1))[:, None]
    for p, q in ((a, b), (b, c), (c, a)):
        inside &= _doubled_area(p, q, flat) >= border
    # A corner at the place of one of the ear's belongs to a seam, and is not in the way.
    row, other = np.nonzero(inside)
    at_corner = (flat[row, other, None] == corners[row]).all(axis=2).any(axis=1)
    free = np.bincount(row[~at_corner], minlength=len(ear)) == 0
    is_ear = (abs(area) <= FLAT) | ((area > 0) & (free | (lenience >= 2))) | (lenience >= 3)
    return np.asarray(is_ear)
