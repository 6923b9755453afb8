"""Chamfer distance, exact and without a matrix of distances."""

import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._clouds import cloud_of_rows, flatten
from pcclust.ops.knn import knn


@accepts_numpy
def chamfer_distance(
    x: Tensor,
    y: Tensor,
    *,
    x_lengths: Tensor | None = None,
    y_lengths: Tensor | None = None,
    x_offsets: Tensor | None = None,
    y_offsets: Tensor | None = None,
) -> Tensor:
    """Returns the mean squared distance of points to the nearest of the other cloud, both ways.

    ``mean_i min_j ‖x_i - y_j‖² + mean_j min_i ‖x_i - y_j‖²`` of each pair of clouds. The
    nearest points come from `pcclust.knn`, in memory O(N + M).

    Args:
        x: ``(N, D)`` one cloud, ``(B, N, D)`` a batch, or packed ``(ΣN, D)`` with ``x_offsets``;
            float16 and bfloat16 are computed in float32.
        y: as ``x``, as many clouds, of the same dtype.
        x_lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.
        y_lengths: as ``x_lengths``, for ``y``.
        x_offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.
        y_offsets: as ``x_offsets``, for ``y``.

    Returns:
        ``()`` of single clouds, otherwise ``(B,)``, in the square of the points' unit,
        differentiable to any order.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: shapes that do not fit, clouds without points, NaN or inf.

    Source: Fan et al., "A Point Set Generation Network" (2017), with means for sums.

    Example:
        >>> import torch, pcclust
        >>> pcclust.chamfer_distance(torch.zeros(2, 3), torch.ones(5, 3)).item()
        6.0
    """
    there = _one_way(x, y, x_lengths, y_lengths, x_offsets, y_offsets)
    return there + _one_way(y, x, y_lengths, x_lengths, y_offsets, x_offsets)


def _one_way(
    x: Tensor,
    y: Tensor,
    x_lengths: Tensor | None,
    y_lengths: Tensor | None,
    x_offsets: Tensor | None,
    y_offsets: Tensor | None,
) -> Tensor:
    """Returns the mean squared distance of the points of each cloud of ``x`` to those of ``y``."""
    nearest = knn(
        y,
        1,
        queries=x,
        lengths=y_lengths,
        offsets=y_offsets,
        query_lengths=x_lengths,
        query_offsets=x_offsets,
    ).distances[..., 0]
    if x_lengths is None and x_offsets is None:
        return nearest.mean(dim=-1)
    clouds = flatten(x, x_lengths, x_offsets, "x")
    cloud = cloud_of_rows(clouds)
    kept = (cloud >= 0).nonzero().flatten()
    sums = nearest.new_zeros(len(clouds.sizes), dtype=torch.float64)
    sums = sums.index_add(0, cloud[kept], nearest.flatten()[kept].double())
    return (sums / clouds.sizes).to(nearest.dtype)
