"""Chamfer distance, exact and without a matrix of distances."""

from torch import Tensor

from pcclust.ops.chamfer_distance import chamfer_distance


def chamfer(x: Tensor, y: Tensor) -> Tensor:
    """Returns the mean squared distance of points to the nearest of the other cloud, both ways.

    `pcclust.chamfer_distance` of each pair of clouds, in memory O(N + M).

    Args:
        x: ``(B, N, D)`` clouds; float16 and bfloat16 are computed in float32.
        y: ``(B, M, D)`` clouds.

    Returns:
        ``(B,)`` in the square of the points' unit, differentiable to any order.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: shapes that do not fit, clouds without points, NaN or inf.

    Source: Fan et al., "A Point Set Generation Network" (2017), with means for sums.

    Example:
        >>> import torch
        >>> from pcclust.losses import chamfer
        >>> chamfer(torch.zeros(1, 2, 3), torch.ones(1, 5, 3)).tolist()
        [6.0]
    """
    if x.dim() != 3 or y.dim() != 3 or len(x) != len(y):
        raise ValueError(
            f"x must be (B, N, D) and y (B, M, D), got {tuple(x.shape)} and {tuple(y.shape)}"
        )
    return chamfer_distance(x, y)
