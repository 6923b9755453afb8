"""Greedy k-means++: centers that are spread over the data."""

import torch
from torch import Tensor

from pcclust.ops._checks import (
    MOST_POINTS,
    check_finite,
    check_labels,
    check_matrix,
    check_not_negative,
    check_rows,
    require,
)
from pcclust.ops._codes import call_coded
from pcclust.ops._distance import BLOCK
from pcclust.ops._registry import declare
from pcclust.ops.kmeans_update import wide_dtype

MOST_TRIALS = 32


def kmeans_plusplus(
    points: Tensor,
    weights: Tensor | None,
    shift: Tensor,
    uniforms: Tensor,
    first_center: int,
    labels: Tensor,
    distances: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Goes on with greedy k-means++ for some steps, one new center each.

    In every step some trials are drawn with probability proportional to weight · squared distance
    to the nearest center so far, and the one that lowers the weighted sum of those distances most
    is kept (Arthur and Vassilvitskii 2007, section 5; the first of equal ones).

    Args:
        points: ``(N, D)`` contiguous float32 or float64, finite.
        weights: ``(N,)`` of the points' dtype, or None for ones.
        shift: ``(D,)`` a point amid the others, taken off to keep precision.
        uniforms: ``(steps, trials)`` float64 in [0, 1), at most 32 trials: where in the
            distribution each trial lies. All randomness is here.
        first_center: how many centers are chosen already, at least 1.
        labels: ``(N,)`` int64, the nearest of those centers.
        distances: ``(N,)`` its squared distance.

    Returns:
        ``(steps,)`` int64, the points that became centers; labels and distances as they are now.

    Raises:
        RuntimeError: tensors that do not fit together.

    Example:
        >>> import torch
        >>> line, first = torch.tensor([[0.0], [1.0], [9.0]]), torch.tensor([0.0, 1.0, 81.0])
        >>> zero, uniforms = torch.zeros(3, dtype=torch.int64), torch.tensor([[0.5]]).double()
        >>> kmeans_plusplus(line, None, line[0], uniforms, 1, zero, first)
        (tensor([2]), tensor([0, 0, 1]), tensor([0., 1., 0.]))
    """
    state = (first_center, labels, distances)
    chosen, labels, distances = call_coded(
        "kmeans_plusplus", _kmeans_plusplus_torch, points, weights, shift, uniforms, *state
    )
    return chosen, labels, distances


def _kmeans_plusplus_torch(
    points: Tensor,
    weights: Tensor | None,
    shift: Tensor,
    uniforms: Tensor,
    first_center: int,
    labels: Tensor,
    distances: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    _check_seeding(points, weights, shift, uniforms)
    _check_state(points, first_center, labels, distances)
    chosen = labels.new_empty(uniforms.shape[0])
    labels, distances = labels.clone(), distances.clone()
    squares = _shifted_squares(points, shift)
    for step, uniform in enumerate(uniforms):
        trials = _draw(uniform, distances, weights)
        nearer = _nearer_distances(points, squares, shift, trials, distances)
        potentials = nearer.to(wide_dtype(points)) @ _as_wide(weights, points)
        best = potentials.argmin()
        chosen[step] = trials[best]
        labels = torch.where(nearer[best] < distances, first_center + step, labels)
        distances = nearer[best]
    return chosen, labels, distances


def _check_seeding(points: Tensor, weights: Tensor | None, shift: Tensor, uniforms: Tensor) -> None:
    check_rows(points)
    require(points.shape[0] >= 1, "at least one point is needed")
    check_matrix(shift, "shift", points.shape[1:], points.dtype)
    check_finite(shift, "shift")
    check_matrix(uniforms, "uniforms", (None, None), wide_dtype(points))
    require(1 <= uniforms.shape[1] <= MOST_TRIALS, f"1 to {MOST_TRIALS} trials are possible")
    inside = bool(((uniforms >= 0) & (uniforms < 1)).all())
    require(inside, "uniforms must lie in [0, 1)")
    if weights is not None:
        check_matrix(weights, "weights", points.shape[:1], points.dtype)
        check_not_negative(weights, "weights")


def _check_state(points: Tensor, first_center: int, labels: Tensor, distances: Tensor) -> None:
    check_matrix(distances, "distances", points.shape[:1], points.dtype)
    check_not_negative(distances, "distances")
    check_labels(labels, points.shape[0], first_center)
    require(first_center < MOST_POINTS, f"there are too many centers: {first_center}")


def _shifted_squares(points: Tensor, shift: Tensor) -> Tensor:
    step = max(1, BLOCK // points.shape[1])
    return torch.cat([(part - shift).square().sum(dim=1) for part in torch.split(points, step)])


def _as_wide(weights: Tensor | None, points: Tensor) -> Tensor:
    wide = wide_dtype(points)
    return points.new_ones(points.shape[0], dtype=wide) if weights is None else weights.to(wide)


def _draw(uniform: Tensor, distances: Tensor, weights: Tensor | None) -> Tensor:
    """Draws points with probability proportional to weight · distance; any if all are zero."""
    mass = distances.to(uniform.dtype)
    mass = mass if weights is None else mass * weights
    total = mass.cumsum(dim=0)
    count = mass.shape[0]
    drawn = torch.searchsorted(total, uniform * total[-1], right=True)
    # Rounding may point behind the last point that has any mass.
    last = torch.searchsorted(total, total[-1], right=False)
    anywhere = (uniform * count).to(torch.int64)
    return torch.where(total[-1] > 0, drawn.minimum(last), anywhere).clamp(max=count - 1)


def _nearer_distances(
    points: Tensor, squares: Tensor, shift: Tensor, trials: Tensor, distances: Tensor
) -> Tensor:
    """Returns ``(trials, N)`` squared distances to the nearest center, were a trial one of them."""
    nearer = points.new_empty((trials.shape[0], points.shape[0]))
    centers = points[trials] - shift
    own = squares[trials]
    step = max(1, BLOCK // points.shape[1])
    for first in range(0, points.shape[0], step):
        part = points[first : first + step]
        before, scale = distances[first : first + step], squares[first : first + step]
        scores = torch.addmm(scale, centers, (part - shift).T, alpha=-2) + own[:, None]
        # A difference of large numbers is no distance: near a trial it is computed as it should.
        close = (scores <= 1e-4 * (scale + own[:, None])) & (scores < before)
        trial, point = close.nonzero(as_tuple=True)
        scores[trial, point] = (part[point] - points[trials[trial]]).square().sum(dim=1)
        nearer[:, first : first + step] = torch.minimum(scores, before)
    return nearer


def _kmeans_plusplus_fake(
    points: Tensor,
    weights: Tensor | None,
    shift: Tensor,
    uniforms: Tensor,
    first_center: int,
    labels: Tensor,
    distances: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    chosen = labels.new_empty(uniforms.shape[0])
    return chosen, torch.empty_like(labels), torch.empty_like(distances)


declare(
    "kmeans_plusplus(Tensor points, Tensor? weights, Tensor shift, Tensor uniforms, "
    "int first_center, Tensor labels, Tensor distances) -> (Tensor, Tensor, Tensor)",
    _kmeans_plusplus_torch,
    _kmeans_plusplus_fake,
)
