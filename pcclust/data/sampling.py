"""Points from surfaces and from clouds of another size."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

# Relative to the squared extent: below it, an area is what rounding leaves of zero.
ZERO_AREA = 1e-14


class Surface(Protocol):
    """Triangles: a `pcclust.data.Mesh`, a ``trimesh.Trimesh``, or anything with their arrays."""

    @property
    def vertices(self) -> Any:  # noqa: ANN401
        """``(V, 3)``."""

    @property
    def faces(self) -> Any:  # noqa: ANN401
        """``(F, 3)`` integers."""


def sample_surface(mesh: Surface, num_points: int, seed: int = 0) -> NDArray[np.float64]:
    """Draws points uniformly by area from the surface of a mesh.

    A triangle is drawn by its share of the area, and in it the point a + u (b - a) + v (c - a),
    where u and v are uniform, and mirrored into the triangle where u + v > 1.

    Args:
        mesh: triangles with finite corners; a ``trimesh.Trimesh`` is one.
        num_points: how many to draw, at least 1.
        seed: of the generator; the same seed gives the same points.

    Returns:
        ``(num_points, 3)``.

    Raises:
        ValueError: the mesh has no area, or one too large for float64.

    Example:
        >>> import trimesh
        >>> from pcclust.data import sample_surface
        >>> sample_surface(trimesh.creation.icosphere(), 1024).shape
        (1024, 3)
    """
    faces = np.asarray(mesh.faces)
    corners = np.asarray(mesh.vertices, dtype=np.float64)[faces]
    origins, edges = corners[:, 0], corners[:, 1:] - corners[:, :1]
    areas = _areas(corners, edges)
    chances = np.random.default_rng(seed)
    reach = np.cumsum(areas)
    chosen = np.searchsorted(reach, chances.random(num_points) * reach[-1])
    weights = chances.random((num_points, 2, 1))
    outside = weights.sum(axis=1)[:, 0] > 1
    weights[outside] = abs(weights[outside] - 1)
    return np.asarray(origins[chosen] + (edges[chosen] * weights).sum(axis=1))


def _areas(corners: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the area of each triangle; raises where there is none to draw from."""
    extent = float(np.ptp(corners, axis=(0, 1)).max()) if len(corners) else 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        areas = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1) / 2
    area = float(areas.sum())
    if not np.isfinite(area):
        raise ValueError(f"the mesh is too large: its extent is {extent:g} and its area {area:g}")
    if area <= ZERO_AREA * extent**2:
        raise ValueError(f"the surface of its {len(corners)} faces has no area to sample")
    return np.asarray(areas)


def resample(points: NDArray[np.floating], num_points: int, seed: int = 0) -> NDArray[np.floating]:
    """Draws a given number of points from a cloud.

    Args:
        points: ``(N, D)``.
        num_points: how many to draw, at least 1.
        seed: of the generator; the same seed gives the same points.

    Returns:
        ``(num_points, D)``: a random subset without repetition where the cloud has enough points;
        all of it, as it is, where it has exactly that many; otherwise every point once, followed by
        random repetitions.

    Example:
        >>> import numpy as np
        >>> from pcclust.data import resample
        >>> resample(np.eye(3), 5).shape
        (5, 3)
    """
    count = len(points)
    if num_points == count:
        return points
    generator = np.random.default_rng(seed)
    if num_points < count:
        return points[generator.choice(count, num_points, replace=False)]
    repeated = generator.integers(count, size=num_points - count)
    return np.concatenate([points, points[repeated]])
