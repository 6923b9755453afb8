"""Lloyd's algorithm: assign every point to its nearest center, move the centers, repeat."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from pcclust.cluster.kmeans_plus_plus import Start
from pcclust.ops.kmeans_assign import kmeans_assign
from pcclust.ops.kmeans_update import kmeans_update


class Problem(NamedTuple):
    """What is clustered, and how.

    Attributes:
        points: ``(N, D)`` contiguous float32 or float64; of length one where ``spherical``.
        weights: ``(N,)`` of the points' dtype, or None for ones.
        shift: ``(D,)`` a point amid the others, taken off to keep precision.
        spherical: whether centers are directions: sums brought to length one.
        generator: of the CPU, for whatever is left to chance.
    """

    points: Tensor
    weights: Tensor | None
    shift: Tensor
    spherical: bool
    generator: Generator


class Solution(NamedTuple):
    """What Lloyd's algorithm ends with; labels and inertia belong to these centers."""

    centers: Tensor
    labels: Tensor
    inertia: float
    iterations: int


def lloyd(
    problem: Problem, centers: Tensor, start: Start | None, max_iter: int, tolerance: float
) -> Solution:
    """Runs Lloyd's algorithm until no label changes or the centers hardly move.

    Args:
        problem: what is clustered.
        centers: ``(k, D)`` to start from.
        start: how points are assigned to these centers, where that is known.
        max_iter: iterations at most.
        tolerance: the summed squared movement of all centers at which to stop.
    """
    points, _, shift, _, _ = problem
    labels = distances = None
    if start is not None:
        labels, distances = start.labels, start.distances
    for iteration in range(1, max_iter + 1):
        if iteration > 1 or labels is None or distances is None:
            previous = labels
            labels, distances = kmeans_assign(points, centers, shift, previous)
            if iteration > 1 and previous is not None and torch.equal(labels, previous):
                break
        moved = move_centers(problem, centers, labels, distances)
        movement = float((moved - centers).square().sum())
        centers = moved
        if movement <= tolerance or iteration == max_iter:
            labels, distances = kmeans_assign(points, centers, shift, labels)
            break
    assert labels is not None  # max_iter is at least 1
    assert distances is not None
    return Solution(centers, labels, inertia(problem, distances), iteration)


def tolerance_of(points: Tensor, tol: float) -> float:
    """Returns the movement at which to stop: a fraction of the mean variance of the features."""
    if tol <= 0:
        return 0.0
    mean = points.mean(dim=0)
    _, distances = kmeans_assign(points, mean[None], mean)
    return tol * (float(distances.mean()) / points.shape[1])


def inertia(problem: Problem, distances: Tensor) -> float:
    """Returns the weighted sum of squared distances."""
    alone = torch.zeros_like(distances, dtype=torch.int64)
    return float(kmeans_update(distances[:, None], problem.weights, alone, 1)[0])


def move_centers(problem: Problem, centers: Tensor, labels: Tensor, distances: Tensor) -> Tensor:
    """Moves every center to the weighted mean of its points; empty clusters split a large one.

    Args:
        problem: what is clustered.
        centers: ``(k, D)`` as they are.
        labels: ``(N,)`` the nearest of them.
        distances: ``(N,)`` its squared distance.
    """
    sums, masses = kmeans_update(problem.points, problem.weights, labels, centers.shape[0])
    means = sums / masses.clamp(min=torch.finfo(masses.dtype).tiny)[:, None]
    empty = masses <= 0
    targets = torch.where(empty[:, None], centers, means)
    if bool(empty.any()):
        spreads = spreads_of_clusters(problem, centers, means, masses, labels, distances)
        targets = split_for_empty(problem, targets, masses, spreads, labels, distances)
    unmoved = (targets == centers).all(dim=1, keepdim=True)
    return torch.where(unmoved, centers, as_centers(problem, targets, centers))


def as_centers(problem: Problem, means: Tensor, before: Tensor) -> Tensor:
    """Returns means as centers: as they are, or the directions of those that have one."""
    if not problem.spherical:
        return means.to(before.dtype)
    lengths = means.norm(dim=1, keepdim=True)
    # Points that cancel out have no mean direction: any center serves them equally well.
    known = lengths > 8 * torch.finfo(before.dtype).eps
    return torch.where(known, (means / lengths).to(before.dtype), before)


def spreads_of_clusters(
    problem: Problem,
    centers: Tensor,
    means: Tensor,
    masses: Tensor,
    labels: Tensor,
    distances: Tensor,
) -> Tensor:
    """Returns each cluster's mean squared distance to its own mean, 0 where rounding hides it.

    Args:
        problem: what is clustered.
        centers: ``(k, D)`` that labels and distances belong to.
        means: ``(k, D)`` of the clusters.
        masses: ``(k,)`` summed weights of the clusters.
        labels: ``(N,)`` clusters.
        distances: ``(N,)`` squared distances to the centers.
    """
    total, _ = kmeans_update(distances[:, None], problem.weights, labels, centers.shape[0])
    return spreads_about_means(total[:, 0], centers, means, masses)


def spreads_about_means(total: Tensor, centers: Tensor, means: Tensor, masses: Tensor) -> Tensor:
    """Returns what `spreads_of_clusters` does, of summed squared distances ``(k,)`` to centers."""
    around_center = total / masses.clamp(min=torch.finfo(masses.dtype).tiny)
    spreads = around_center - (means - centers).square().sum(dim=1)
    noise = 16 * torch.finfo(centers.dtype).eps * around_center
    return torch.where((masses > 0) & (spreads > noise), spreads, 0)


def split_for_empty(
    problem: Problem,
    centers: Tensor,
    masses: Tensor,
    spreads: Tensor,
    labels: Tensor,
    distances: Tensor,
) -> Tensor:
    """Gives every empty cluster a part of the heaviest one whose points are not all the same.

    The donor counts half afterwards, so that the next empty cluster may find another.

    Args:
        problem: what is clustered.
        centers: ``(k, D)`` means.
        masses: ``(k,)`` the summed weight of each cluster; 0 where it is empty.
        spreads: ``(k,)`` the mean squared distance of its points to their mean.
        labels: ``(N,)`` clusters.
        distances: ``(N,)`` squared distances to the centers before.
    """
    centers, masses, spreads = centers.clone(), masses.clone(), spreads.clone()
    reach = distances if problem.weights is None else distances * (problem.weights > 0)
    for empty in (masses <= 0).nonzero().flatten().tolist():
        donor = int(torch.where(spreads > 0, masses, 0).argmax())
        if float(spreads[donor]) <= 0:
            break  # fewer different points than clusters: there is nothing to split
        if problem.spherical:
            # A step about the mean of directions may well end in one direction, both ways.
            farthest = int(torch.where(labels == donor, reach, -1).argmax())
            centers[empty] = problem.points[farthest]
            reach = reach.index_fill(0, torch.tensor([farthest], device=reach.device), 0)
        else:
            step = _step_apart(centers[donor], spreads[donor], problem.generator)
            centers[empty], centers[donor] = centers[donor] + step, centers[donor] - step
        masses[empty] = masses[donor] = masses[donor] / 2
        spreads[empty] = spreads[donor]
    return centers


def _step_apart(center: Tensor, spread: Tensor, generator: Generator) -> Tensor:
    """Returns half a standard deviation along a random direction.

    That is enough to survive rounding, too little to lose points to others, and no coordinate
    stays behind because it is 0.
    """
    direction = torch.randn(len(center), dtype=torch.float64, generator=generator)
    deviation = float((spread / len(center)).sqrt())
    smallest = 16 * torch.finfo(center.dtype).eps * float(center.norm())
    step: Tensor = direction * (max(deviation / 2, smallest) / direction.norm())
    return step.to(center.dtype).to(center.device)
