"""The PointCloud-C corruptions, seven kinds at five levels, and their metrics.

Ren, Pan and Liu, "Benchmarking and Analyzing Point Cloud Classification under Corruptions", ICML
2022. Parameters are those of the official generator, levels count from 0 as its file names do.
Draws come from torch generators, so clouds follow the same distributions as the published files
but are not the same ones.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Generator, Tensor

from pcclust.data.transforms import (
    UnitSphere,
    check_batch,
    euler_rotation,
    gather_points,
    turn,
    uniform,
)

Kind = Literal[
    "scale", "jitter", "rotate", "dropout_global", "dropout_local", "add_global", "add_local"
]
KINDS: tuple[Kind, ...] = get_args(Kind)
LEVELS = range(5)
MAX_CLUSTERS = 7

# Accuracy of DGCNN, to which the benchmark relates every other method.
DGCNN_CLEAN = 0.926
DGCNN: Mapping[Kind, float] = {
    "scale": 0.906,
    "jitter": 0.684,
    "rotate": 0.785,
    "dropout_global": 0.752,
    "dropout_local": 0.793,
    "add_global": 0.705,
    "add_local": 0.725,
}


class Corrupted(NamedTuple):
    """One of the 35 corrupted versions of a batch.

    Attributes:
        kind: the corruption.
        level: its severity, 0 to 4.
        points: ``(B, M, 3)``; M depends on kind and level alone.
    """

    kind: Kind
    level: int
    points: Tensor


class CorruptionScores(NamedTuple):
    """What PointCloud-C reports.

    Attributes:
        mce: mCE, mean over kinds of the error relative to DGCNN's; lower is better, DGCNN has 1.
        rmce: RmCE, mean over kinds of the loss of accuracy relative to DGCNN's.
        moa: mOA, mean over kinds of the accuracy.
        accuracy: of each kind, mean over levels.
        ce: CE of each kind.
        rce: RCE of each kind.
    """

    mce: float
    rmce: float
    moa: float
    accuracy: dict[Kind, float]
    ce: dict[Kind, float]
    rce: dict[Kind, float]


def corrupt(points: Tensor, kind: Kind, level: int, generator: Generator | None = None) -> Tensor:
    """Corrupts every cloud of a batch.

    Args:
        points: ``(B, N, 3)``, centred, farthest point at radius 1; the benchmark has N = 1,024.
        kind: one of `KINDS`.
        level: severity, 0 to 4.
        generator: source of randomness, on the CPU.

    Returns:
        ``(B, M, 3)``; dropouts leave fewer points, additions more.

    Raises:
        ValueError: unknown kind or level, wrong shape, or too few points to drop or add to.

    Example:
        >>> import torch
        >>> from pcclust.data.corruptions import corrupt
        >>> clouds = torch.rand(2, 1024, 3)
        >>> [corrupt(clouds, kind, 4).shape[1] for kind in ("dropout_local", "add_global")]
        [524, 1074]
    """
    check_batch(points)
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is none of {', '.join(KINDS)}")
    if level not in LEVELS:
        raise ValueError(f"level={level!r} is not between 0 and {len(LEVELS) - 1}")
    return _CORRUPTIONS[kind](points, level, generator)


def corruption_suite(points: Tensor, seed: int = 0) -> Iterator[Corrupted]:
    """Yields all 35 corrupted versions of a batch, each from a seed of its own.

    Args:
        points: ``(B, N, 3)`` as for `corrupt`. For a set in several batches give each its own seed.
        seed: of the suite; a version is the same whichever others are made.
    """
    for number, kind in enumerate(KINDS):
        for level in LEVELS:
            key = np.random.SeedSequence([seed, number, level]).generate_state(1, np.uint64)
            generator = Generator().manual_seed(int(key[0]))
            yield Corrupted(kind, level, corrupt(points, kind, level, generator))


def corruption_scores(
    clean: float, accuracies: Mapping[Kind, Mapping[int, float] | list[float]]
) -> CorruptionScores:
    """Computes mCE, RmCE and mOA, rounding to three decimals at each step as the benchmark does.

    Args:
        clean: accuracy on the clean test set, in [0, 1].
        accuracies: of each kind, the accuracy at levels 0 to 4.

    Raises:
        ValueError: a kind or level is missing, or a value is no fraction.

    Example:
        >>> from pcclust.data.corruptions import DGCNN, corruption_scores
        >>> corruption_scores(0.926, {kind: [oa] * 5 for kind, oa in DGCNN.items()}).mce
        1.0
    """
    oa = {kind: round(_mean_accuracy(accuracies, kind), 3) for kind in KINDS}
    if not 0 <= clean <= 1:
        raise ValueError(f"clean={clean} is not a fraction between 0 and 1")
    clean = round(clean, 3)
    ce = {kind: round((1 - oa[kind]) / (1 - DGCNN[kind]), 3) for kind in KINDS}
    rce = {kind: round((clean - oa[kind]) / (DGCNN_CLEAN - DGCNN[kind]), 3) for kind in KINDS}
    mce, rmce, moa = (round(sum(values.values()) / len(KINDS), 3) for values in (ce, rce, oa))
    return CorruptionScores(mce, rmce, moa, oa, ce, rce)


def _mean_accuracy(
    accuracies: Mapping[Kind, Mapping[int, float] | list[float]], kind: Kind
) -> float:
    given = accuracies.get(kind, [])
    if len(given) != len(LEVELS):
        raise ValueError(f"{kind} needs accuracies at levels 0 to 4, got {len(given)}")
    values = [given[level] for level in LEVELS]
    if not all(0 <= value <= 1 for value in values):
        raise ValueError(f"{kind} has accuracies {values}, which are not between 0 and 1")
    return sum(values) / len(values)


def _scale(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    largest = (1.6, 1.7, 1.8, 1.9, 2.0)[level]
    return UnitSphere()(points * uniform(points, (1, 3), 1 / largest, largest, generator))


def _jitter(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    return points + 0.01 * (level + 1) * _normal(points, points.shape[1:], generator)


def _rotate(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    limit = math.radians(30) / 5 * (level + 1)
    angles = uniform(points, (3,), -limit, limit, generator).cpu()
    return turn(points, euler_rotation(angles).mT)  # the benchmark turns by points @ R


def _dropout_global(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    fraction = (0.25, 0.375, 0.5, 0.625, 0.75)[level]
    kept = int(points.shape[1] * (1 - fraction))
    order = torch.rand(points.shape[:2], generator=generator).argsort(dim=1)
    return gather_points(points, order[:, :kept].to(points.device))


def _dropout_local(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    batch, count = points.shape[:2]
    total = _cluster_total(points, level)
    sizes = _cluster_sizes(batch, total, generator)
    alive = torch.ones(batch, count, dtype=torch.bool, device=points.device)
    for size in sizes.T:
        keys = torch.rand(batch, count, generator=generator).to(points.device)
        center = keys.masked_fill(~alive, -1).argmax(dim=1, keepdim=True)
        distance = (points - gather_points(points, center)).square().sum(dim=2)
        nearest = distance.masked_fill(~alive, math.inf).argsort(dim=1, stable=True)
        rank = torch.empty_like(nearest)
        rank.scatter_(1, nearest, torch.arange(count, device=points.device).expand(batch, -1))
        alive &= rank >= size[:, None].to(points.device)
    return points[alive].view(batch, count - total, 3)


def _add_global(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    number = 10 * (level + 1)
    direction = torch.nn.functional.normalize(_normal(points, (number, 3), generator), dim=2)
    radius = uniform(points, (number, 1), 0, 1, generator).pow(1 / 3)  # uniform in the unit ball
    return torch.cat([points, radius * direction], dim=1)


def _add_local(points: Tensor, level: int, generator: Generator | None) -> Tensor:
    batch, count = points.shape[:2]
    total = _cluster_total(points, level)
    sizes = _cluster_sizes(batch, total, generator)
    centers = torch.rand(batch, count, generator=generator).argsort(dim=1)[:, :MAX_CLUSTERS]
    sigma = uniform(points, (MAX_CLUSTERS,), 0.075, 0.125, generator)
    # Point number n belongs to the first cluster whose running total exceeds n.
    ends = sizes.cumsum(dim=1)
    cluster = torch.searchsorted(ends, torch.arange(total).repeat(batch, 1), right=True)
    center = gather_points(points, centers.gather(1, cluster).to(points.device))
    spread = sigma.gather(1, cluster.to(points.device))[..., None]
    added = center + spread * _normal(points, (total, 3), generator)
    # The benchmark divides by the squared norm what lies outside the unit ball: radius r → 1 / r.
    squared = added.square().sum(dim=2, keepdim=True)
    return torch.cat([points, torch.where(squared > 1, added / squared, added)], dim=1)


def _cluster_total(points: Tensor, level: int) -> int:
    total = 100 * (level + 1)
    if points.shape[1] <= total:
        raise ValueError(
            f"local corruptions of level {level} need more than {total} points in a cloud, "
            f"got {points.shape[1]}"
        )
    return total


def _cluster_sizes(batch: int, total: int, generator: Generator | None) -> Tensor:
    """Shares ``total`` points among 1 to 7 clusters: ``(B, 7)``, zero for those not there."""
    clusters = torch.randint(1, MAX_CLUSTERS + 1, (batch, 1), generator=generator)
    drawn = torch.rand(batch, total, generator=generator, dtype=torch.float64)
    member = (drawn * clusters).long()
    return torch.zeros(batch, MAX_CLUSTERS, dtype=torch.int64).scatter_add_(
        1, member, torch.ones_like(member)
    )


def _normal(points: Tensor, shape: tuple[int, ...], generator: Generator | None) -> Tensor:
    drawn = torch.randn(points.shape[0], *shape, generator=generator, dtype=points.dtype)
    return drawn.to(points.device)


_CORRUPTIONS: Mapping[Kind, Callable[[Tensor, int, Generator | None], Tensor]] = {
    "scale": _scale,
    "jitter": _jitter,
    "rotate": _rotate,
    "dropout_global": _dropout_global,
    "dropout_local": _dropout_local,
    "add_global": _add_global,
    "add_local": _add_local,
}
