"""Points from surfaces and from clouds of another size."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import trimesh

# Relative to the squared extent: below it, an area is what rounding leaves of zero.
ZERO_AREA = 1e-14


def sample_surface(mesh: "trimesh.Trimesh", num_points: int, seed: int = 0) -> NDArray[np.float64]:
    """Draws points uniformly by area from the surface of a mesh.

    Args:
        mesh: a mesh with finite vertices.
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
    import trimesh

    extent = float(np.ptp(mesh.vertices, axis=0).max())
    with np.errstate(over="ignore", invalid="ignore"):
        area = float(mesh.area)
    if not np.isfinite(area):
        raise ValueError(f"the mesh is too large: its extent is {extent:g} and its area {area:g}")
    if area <= ZERO_AREA * extent**2:
        raise ValueError(f"the surface of its {len(mesh.faces)} faces has no area to sample")
    points, _ = trimesh.sample.sample_surface(mesh, num_points, seed=seed)
    return np.asarray(points, dtype=np.float64)


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
