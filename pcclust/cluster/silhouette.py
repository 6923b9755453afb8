"""How far clusters are apart, without labels."""

import numpy as np
import torch
from torch import Tensor

from pcclust.cluster._inputs import Data, as_points
from pcclust.cluster._magnitude import exponent_of, times_two_to
from pcclust.cluster.contingency import Labels, as_labels

BLOCK = 1 << 24  # distances at once


def silhouette(
    features: Data, clusters: Labels, *, max_samples: int | None = 2048, seed: int = 0
) -> float:
    """Returns the mean silhouette width: how much nearer items are to their cluster than to others.

    An item's width is (b - a) / max(a, b) with a its mean distance to the others of its cluster
    and b the smallest mean distance to those of another cluster; 0 for a cluster of one, and where
    both are 0. It needs no labels and compares numbers of clusters in the same features.

    Args:
        features: ``(N, D)``, distances are Euclidean.
        clusters: ``(N,)`` integers, not negative.
        max_samples: the widths of at most so many random items are averaged, each against all
            others, so that time grows with N instead of N²; all items if None.
        seed: of the choice of items.

    Returns:
        A number from -1 to 1.

    Raises:
        TypeError: wrong types or dtypes.
        ValueError: wrong shapes, NaN or inf, all items in one cluster, or no samples.

    Rousseeuw, "Silhouettes" (1987).

    Example:
        >>> round(silhouette([[0.0], [1.0], [9.0], [10.0]], [0, 0, 1, 1]), 3)
        0.889
    """
    points, given = as_points(features, "features", overflow=1), as_labels(clusters, "clusters")
    if len(given) != len(points):
        raise ValueError(f"{len(points)} features, but {len(given)} clusters: one an item")
    found, column, counts = np.unique(given, return_inverse=True, return_counts=True)
    if len(found) == 1:
        raise ValueError("the silhouette needs two clusters, and all items are in one")
    points = times_two_to(points.double(), -exponent_of(points.double()))
    points = points - points.mean(dim=0)  # products of large numbers would cancel digits
    cluster_of = torch.from_numpy(column).to(points.device)
    sizes = torch.from_numpy(counts).to(points)
    chosen = _chosen(len(points), max_samples, seed).to(points.device)
    blocks = torch.split(chosen, max(1, BLOCK // len(points)))
    return float(torch.cat([_widths(points, cluster_of, sizes, rows) for rows in blocks]).mean())


def _chosen(count: int, max_samples: int | None, seed: int) -> Tensor:
    if max_samples is None or max_samples >= count:
        return torch.arange(count)
    if max_samples < 1:
        raise ValueError(f"max_samples={max_samples} must be at least 1")
    shuffled = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return shuffled[:max_samples].sort().values


def _widths(points: Tensor, cluster_of: Tensor, sizes: Tensor, rows: Tensor) -> Tensor:
    """Returns the silhouette widths of some items."""
    distances = torch.cdist(points[rows], points)
    distances[torch.arange(len(rows)), rows] = 0  # what rounding left of them
    sums = distances.new_zeros(len(rows), len(sizes)).index_add_(1, cluster_of, distances)
    own = cluster_of[rows, None]
    others = sizes[own[:, 0]] - 1
    within = sums.gather(1, own)[:, 0] / others.clamp(min=1)
    between = (sums / sizes).scatter(1, own, torch.inf).amin(dim=1)
    larger = torch.maximum(within, between)
    widths = (between - within) / torch.where(larger > 0, larger, 1)
    return torch.where(others > 0, widths, 0)
