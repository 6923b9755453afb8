"""Rotation-invariant features, their neighbour search included."""

from functools import partial

import torch
from torch import Tensor

import pcclust
from benchmarks import clouds
from benchmarks.neighbors import Search
from benchmarks.suite import Answer, Case, Entry, Goal, Suite, usual_difference


def ours(problem: Search, threads: int) -> Entry:
    """pcclust.rri on the batch."""
    describe = pcclust.rri
    return Entry(lambda: describe(problem.clouds, problem.k), read)


def own_knn(problem: Search, threads: int) -> Entry:
    """pcclust.knn alone: what the neighbours of the features cost."""
    return Entry(lambda: pcclust.knn(problem.clouds, problem.k, exclude_self=True))


def textbook(problem: Search, threads: int) -> Entry:
    """The formulas in plain torch: every angle between two neighbours, then the least."""
    problem.refuse_matrix()
    return Entry(lambda: textbook_rri(problem.clouds, problem.k), read)


def textbook_rri(points: Tensor, k: int) -> Tensor:
    """Returns ``(B, N, k, 4)`` features r_i, r_ik, θ_ik, φ_ik, by way of all k² angles."""
    centered = points - points.mean(dim=1, keepdim=True)
    apart = torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist")
    apart.diagonal(dim1=1, dim2=2).fill_(torch.inf)
    indices = apart.topk(k, largest=False).indices
    near = centered[torch.arange(len(points))[:, None, None], indices]
    radius = centered.norm(dim=-1, keepdim=True)
    normal = (centered / radius)[:, :, None]
    height = (near * normal).sum(dim=-1)
    theta = torch.atan2(torch.linalg.cross(normal.expand_as(near), near).norm(dim=-1), height)
    flat = near - height[..., None] * normal
    first, second = flat[:, :, :, None], flat[:, :, None, :]
    turned = torch.linalg.cross(first.expand(-1, -1, -1, k, -1), second.expand(-1, -1, k, -1, -1))
    sine = (turned * normal[:, :, :, None]).sum(dim=-1)
    angles = torch.atan2(sine, (first * second).sum(dim=-1)).remainder(2 * torch.pi)
    angles.diagonal(dim1=2, dim2=3).fill_(torch.inf)
    phi = angles.min(dim=-1).values
    return torch.stack([radius.expand_as(theta), near.norm(dim=-1), theta, phi], dim=-1)


def read(features: Tensor) -> Answer:
    """Returns the features in float64."""
    values: Answer = features.double().numpy()
    return values


def objects(batch: int, size: int, k: int, scale: float) -> Search:
    """Returns the neighbourhoods of object-like clouds."""
    return Search(clouds.shapes(batch, size, scale), k)


# At most 1.5 times the time of the search alone, 1.2 times hoped for.
GOAL = Goal(at_least=1 / 1.5, aim=1 / 1.2, against="pcclust.knn alone")
SUITE = Suite(
    title="RRI, neighbours included",
    compared="features",
    cases=(
        Case(partial(objects, 32, 1024, 16), GOAL),
        Case(partial(objects, 32, 1024, 32), GOAL),
    ),
    contestants={"pcclust": ours, "pcclust.knn alone": own_knn, "plain torch": textbook},
    reference="plain torch",
    # Neighbours at one distance or in one direction may be taken in either order.
    difference=usual_difference,
    tolerance=1e-3,
)
