"""The nearest center of every point: the assignment step of k-means."""

import torch
from torch import Tensor

from pcclust.ops._checks import check_finite, check_labels, check_matrix, check_rows, require
from pcclust.ops._codes import call_coded
from pcclust.ops._distance import BLOCK
from pcclust.ops._registry import declare


def kmeans_assign(
    points: Tensor, centers: Tensor, shift: Tensor, guess: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Finds the nearest of ``centers`` of each point.

    The native kernel rules centers out by bounds from 8-bit codes and decides by exact distances,
    so its answer is that of comparing all directly computed distances (ties go to the lower label).
    The torch twin decides by a matrix product: its labels may differ within float rounding.
    Neither holds an N × k matrix.

    Args:
        points: ``(N, D)`` contiguous float32 or float64, finite.
        centers: ``(k, D)`` alike.
        shift: ``(D,)`` a point amid the others, taken off to keep precision.
        guess: ``(N,)`` int64, for each point a center that may well be the nearest; it saves time
            and changes nothing.

    Returns:
        ``(N,)`` int64 labels and ``(N,)`` squared distances.

    Raises:
        RuntimeError: tensors that do not fit together.

    Example:
        >>> import torch
        >>> line = torch.tensor([[0.0], [1.0], [5.0]])
        >>> kmeans_assign(line, torch.tensor([[1.0], [4.0]]), torch.zeros(1))
        (tensor([0, 0, 1]), tensor([1., 0., 1.]))
    """
    labels, distances = call_coded(
        "kmeans_assign", _kmeans_assign_torch, points, centers, shift, guess
    )
    return labels, distances


def _kmeans_assign_torch(
    points: Tensor, centers: Tensor, shift: Tensor, guess: Tensor | None
) -> tuple[Tensor, Tensor]:
    _check_assign(points, centers, shift, guess)
    count, clusters = points.shape[0], centers.shape[0]
    labels = points.new_empty(count, dtype=torch.int64)
    distances = points.new_empty(count)
    shifted = centers - shift
    squares = shifted.square().sum(dim=1)
    step = max(1, BLOCK // max(clusters, points.shape[1]))
    for first in range(0, count, step):
        part = points[first : first + step]
        scores = torch.addmm(squares, part - shift, shifted.T, alpha=-2)
        label = scores.argmin(dim=1)
        labels[first : first + step] = label
        distances[first : first + step] = (part - centers[label]).square().sum(dim=1)
    return labels, distances


def _check_assign(points: Tensor, centers: Tensor, shift: Tensor, guess: Tensor | None) -> None:
    check_rows(points)
    check_matrix(centers, "centers", (None, points.shape[1]), points.dtype)
    require(centers.shape[0] >= 1, "at least one center is needed")
    check_finite(centers, "centers")
    check_matrix(shift, "shift", points.shape[1:], points.dtype)
    check_finite(shift, "shift")
    if guess is not None:
        check_labels(guess, points.shape[0], centers.shape[0])


def _kmeans_assign_fake(
    points: Tensor, centers: Tensor, shift: Tensor, guess: Tensor | None
) -> tuple[Tensor, Tensor]:
    count = points.shape[0]
    return points.new_empty(count, dtype=torch.int64), points.new_empty(count)


declare(
    "kmeans_assign(Tensor points, Tensor centers, Tensor shift, Tensor? guess) -> (Tensor, Tensor)",
    _kmeans_assign_torch,
    _kmeans_assign_fake,
)
