"""Where k-means starts: greedy k-means++, or points at random."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from pcclust.ops.kmeans_plusplus import MOST_TRIALS, kmeans_plusplus
from pcclust.ops.kmeans_update import wide_dtype

# Multiplications of one call into the seeding operator, so that a long one can be interrupted.
WORK_OF_A_CALL = 1 << 36


class Start(NamedTuple):
    """Points that are the first centers, and how all points are assigned to them, if known."""

    indices: Tensor
    labels: Tensor | None = None
    distances: Tensor | None = None


def kmeans_plus_plus(
    points: Tensor, weights: Tensor | None, clusters: int, shift: Tensor, generator: Generator
) -> Start:
    """Chooses centers by greedy k-means++ with 2 + ⌊log k⌋ trials for each.

    Args:
        points: ``(N, D)`` contiguous float32 or float64, finite.
        weights: ``(N,)`` of the points' dtype, not negative, some positive; None for ones.
        clusters: k, at most N.
        shift: ``(D,)`` a point amid the others, taken off to keep precision.
        generator: a generator of the CPU, so that a seed means the same on every device.

    Returns:
        The points that became centers, and every point's nearest one.
    """
    trials = min(2 + int(math.log(clusters)), MOST_TRIALS)
    uniforms = torch.rand((clusters, trials), dtype=torch.float64, generator=generator)
    uniforms = uniforms.to(wide_dtype(points)).to(points.device)
    first = _draw_first(points, weights, uniforms[0, 0])
    indices, labels = [first], torch.zeros_like(points[:, 0], dtype=torch.int64)
    distances = _distances_to(points, points[first])
    steps = max(16, WORK_OF_A_CALL // (points.numel() * trials))
    for done in range(1, clusters, steps):
        some = uniforms[done : done + steps].contiguous()
        chosen, labels, distances = kmeans_plusplus(
            points, weights, shift, some, done, labels, distances
        )
        indices.append(chosen)
    return Start(torch.cat(indices), labels, distances)


def random_points(
    points: Tensor, weights: Tensor | None, clusters: int, generator: Generator
) -> Start:
    """Chooses ``clusters`` different points with probability proportional to weight."""
    # The smallest of exponential waiting times are a weighted sample without replacement.
    uniforms = torch.rand(points.shape[0], dtype=torch.float64, generator=generator)
    waiting = -torch.log1p(-uniforms)
    if weights is not None:
        waiting = waiting / weights.to("cpu", torch.float64)
    return Start(waiting.argsort(stable=True)[:clusters].to(points.device))


def _draw_first(points: Tensor, weights: Tensor | None, uniform: Tensor) -> Tensor:
    count = points.shape[0]
    if weights is None:
        return (uniform * count).to(torch.int64).clamp(max=count - 1).view(1)
    total = weights.to(uniform.dtype).cumsum(dim=0)
    last = torch.searchsorted(total, total[-1:])
    return torch.searchsorted(total, (uniform * total[-1]).view(1), right=True).minimum(last)


def _distances_to(points: Tensor, center: Tensor) -> Tensor:
    return torch.cat([(part - center).square().sum(dim=1) for part in torch.split(points, 1 << 12)])
