"""k-means of a tensor, without the estimator and what that loads."""

import torch
from torch import Tensor

from pcclust.cluster._inputs import middle
from pcclust.cluster._magnitude import exponent_of, times_two_to
from pcclust.cluster.kmeans_plus_plus import kmeans_plus_plus
from pcclust.cluster.lloyd import Problem, lloyd, tolerance_of


def plain_kmeans(
    points: Tensor,
    clusters: int,
    seed: int,
    *,
    weights: Tensor | None = None,
    starts: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
) -> Tensor:
    """Returns the centers that `pcclust.KMeans` finds, to the bit.

    The estimator is one of scikit-learn's, which takes 110 MB of memory to load: too much where
    many processes of a machine need centers alone.

    Args:
        points: ``(N, D)`` contiguous float32 or float64, finite.
        clusters: k, at most N.
        seed: of the start.
        weights: ``(N,)`` of the points' dtype, not negative, some positive; None for ones.
        starts: of which the one with the lowest inertia counts.
        max_iter: iterations at most.
        tol: as for `pcclust.KMeans`.

    Returns:
        ``(k, D)``.

    Example:
        >>> import torch
        >>> from pcclust.cluster.plain_kmeans import plain_kmeans
        >>> points = torch.tensor([[0.0, 0.0], [0.0, 1.0], [9.0, 9.0], [9.0, 8.0]])
        >>> sorted(plain_kmeans(points, 2, seed=0).tolist())
        [[0.0, 0.5], [9.0, 8.5]]
    """
    exponent = exponent_of(points)
    points = times_two_to(points, -exponent)
    generator = torch.Generator().manual_seed(seed)
    problem = Problem(points, weights, middle(points), False, generator)
    tolerance, found = tolerance_of(points, tol), []
    for _ in range(starts):
        start = kmeans_plus_plus(points, weights, clusters, problem.shift, generator)
        found.append(lloyd(problem, points[start.indices], start, max_iter, tolerance))
    best = min(found, key=lambda solution: solution.inertia)
    return times_two_to(best.centers, exponent)
