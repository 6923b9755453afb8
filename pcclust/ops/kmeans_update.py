"""Weighted sums of the points of every cluster: the update step of k-means."""

import torch
from torch import Tensor

from pcclust.ops._checks import check_labels, check_matrix, require
from pcclust.ops._distance import BLOCK
from pcclust.ops._registry import call, declare


def kmeans_update(
    points: Tensor, weights: Tensor | None, labels: Tensor, clusters: int
) -> tuple[Tensor, Tensor]:
    """Adds up the points of each cluster, in float64 and in an order that never changes.

    Args:
        points: ``(N, D)`` contiguous float32 or float64.
        weights: ``(N,)`` of the points' dtype, or None for ones.
        labels: ``(N,)`` int64, the cluster of each point.
        clusters: how many clusters there are.

    Returns:
        ``(k, D)`` sums of weight · point and ``(k,)`` sums of weights, float64 (float32 on devices
        that have no other).

    Raises:
        RuntimeError: tensors that do not fit together, or a label out of range (native CPU).

    Example:
        >>> import torch
        >>> sums, masses = kmeans_update(torch.eye(3), None, torch.tensor([0, 1, 1]), 2)
        >>> sums.tolist(), masses.tolist()
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]], [1.0, 2.0])
    """
    sums, masses = call("kmeans_update", points, weights, labels, clusters)
    return sums, masses


def wide_dtype(points: Tensor) -> torch.dtype:
    """Returns the dtype of sums over many points: float64 where the device has it."""
    return torch.float32 if points.device.type == "mps" else torch.float64


def _kmeans_update_torch(
    points: Tensor, weights: Tensor | None, labels: Tensor, clusters: int
) -> tuple[Tensor, Tensor]:
    check_matrix(points, "points")
    require(points.shape[1] >= 1, "points need at least one dimension")
    require(clusters >= 1, f"at least one cluster is needed, got {clusters}")
    check_labels(labels, points.shape[0], clusters)
    if weights is not None:
        check_matrix(weights, "weights", points.shape[:1], points.dtype)
    wide = wide_dtype(points)
    # Atomic additions on a GPU come in another order, with other bits, every time.
    add = _sums_of_segments if points.is_cuda else _sums_by_row
    weight = points.new_ones(points.shape[0]) if weights is None else weights
    masses = add(weight[:, None].to(wide), None, labels, clusters)[:, 0]
    return add(points, weights, labels, clusters), masses


def _sums_by_row(rows: Tensor, weights: Tensor | None, labels: Tensor, clusters: int) -> Tensor:
    sums = rows.new_zeros((clusters, rows.shape[1]), dtype=wide_dtype(rows))
    step = max(1, BLOCK // rows.shape[1])
    for first in range(0, rows.shape[0], step):
        part = rows[first : first + step].to(sums.dtype)
        if weights is not None:
            part = part * weights[first : first + step, None]
        sums.index_add_(0, labels[first : first + step], part)
    return sums


def _sums_of_segments(
    rows: Tensor, weights: Tensor | None, labels: Tensor, clusters: int
) -> Tensor:
    sums = rows.new_empty((clusters, rows.shape[1]), dtype=wide_dtype(rows))
    order = labels.argsort(stable=True)
    lengths = torch.bincount(labels, minlength=clusters)
    step = max(1, BLOCK // rows.shape[0])
    for first in range(0, rows.shape[1], step):
        part = rows[:, first : first + step][order].to(sums.dtype)
        if weights is not None:
            part = part * weights[order, None]
        sums[:, first : first + step] = torch.segment_reduce(part, "sum", lengths=lengths)
    return sums


def _kmeans_update_fake(
    points: Tensor, weights: Tensor | None, labels: Tensor, clusters: int
) -> tuple[Tensor, Tensor]:
    sums = points.new_empty((clusters, points.shape[1]), dtype=wide_dtype(points))
    return sums, sums.new_empty(clusters)


declare(
    "kmeans_update(Tensor points, Tensor? weights, Tensor labels, int clusters)"
    " -> (Tensor, Tensor)",
    _kmeans_update_torch,
    _kmeans_update_fake,
)
