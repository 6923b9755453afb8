"""BatchNorm, LeakyReLU and pooling over clouds or clusters."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.nn._batch_norm import running_statistics, scale_and_shift, update_running
from pcclust.nn._packed import Uniform
from pcclust.ops._clouds import working_precision
from pcclust.ops.norm_pool import norm_pool
from pcclust.ops.segment_pool import segment_pool
from pcclust.ops.segments import Segments


def normalize_and_pool(
    z: Tensor, norm: nn.BatchNorm1d, segments: Segments, negative_slope: float
) -> tuple[Tensor, Tensor]:
    """Returns maximum and mean over each segment of ``leaky_relu(norm(z))``.

    Args:
        z: ``(R, C)`` rows, all of them in some segment; in training nobody else may use them: the
            last backward pass overwrites them.
        norm: in its own mode; in training its running statistics are moved.
        segments: which rows belong together.
        negative_slope: of the LeakyReLU.

    Returns:
        ``(S, C)`` and ``(S, C)`` of the dtype of the norm's weights; differentiable once.

    Raises:
        ValueError: a single row to train on.
    """
    rows = working_precision(z)
    if not norm.training:
        scale, shift = scale_and_shift(norm, *running_statistics(norm))
        given = (scale.to(rows), shift.to(rows), segments, negative_slope)
        maxima, means = segment_pool(rows, *given)
        return maxima.to(norm.weight.dtype), means.to(norm.weight.dtype)
    if len(z) == 1:
        raise ValueError("BatchNorm needs more than one row to train on")
    affine = (norm.weight, norm.bias, norm.eps)
    seen = norm_pool(rows, *affine, segments, negative_slope, consume=True)
    update_running(norm, seen.mean, seen.variance, len(z))
    return seen.maxima.to(norm.weight.dtype), seen.means.to(norm.weight.dtype)


def normalize_and_pool_alike(
    z: Tensor, norm: nn.BatchNorm1d, clouds: Uniform, negative_slope: float
) -> tuple[Tensor, Tensor]:
    """Returns the same for clouds of one size, written out for a compiler, which fuses it."""
    if norm.training:
        parts = working_precision(z).view(*clouds, -1)
        total = parts.sum(dim=1).double().sum(dim=0)
        squares = parts.square().sum(dim=1).double().sum(dim=0)
        mean = total / z.shape[0]
        variance = (squares / z.shape[0] - mean.square()).clamp(min=0)
        update_running(norm, mean, variance, z.shape[0])
    else:
        mean, variance = running_statistics(norm)
    scale, shift = scale_and_shift(norm, mean, variance)
    y = F.leaky_relu(torch.addcmul(shift.to(z), z, scale.to(z)), negative_slope)
    y = y.view(*clouds, -1)
    return y.amax(dim=1), y.mean(dim=1)
