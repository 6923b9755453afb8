"""A linear layer and a LeakyReLU on rows, of which only maxima and means over segments are held.

The last layer of a backbone makes its widest matrix, only to pool it. In evaluation, where its
BatchNorm is part of the weight, no row of that matrix is ever written.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pcclust.ops._checks import check_clouds, check_matrix, require
from pcclust.ops._registry import call, declare
from pcclust.ops._row_parts import check_layer, layer_of_parts
from pcclust.ops.segments import Segments, segment_rows


def linear_pool(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    segments: Segments,
    slope: float,
    half: bool = False,
) -> tuple[Tensor, Tensor]:
    """Takes maximum and mean of ``leaky_relu(weight x + bias)`` over the rows x of each segment.

    Args:
        parts: ``(R, …)`` each, float32 or float64: a row x is what they hold side by side.
        weight: ``(C, D)``, D the columns of all parts.
        bias: ``(C,)``.
        segments: S of them.
        slope: of the LeakyReLU, finite and not negative; 0 for a ReLU.
        half: whether factors are rounded to bfloat16, and their products summed in float32.

    Returns:
        ``(S, C)`` and ``(S, C)``; 0 for a segment without rows. Not differentiable.
    """
    given = [part.contiguous() for part in parts]
    layer = (weight.contiguous(), bias.contiguous())
    maxima, means = call("linear_pool", given, *layer, *segments, slope, half)
    return maxima, means


def _linear_pool_torch(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
    half: bool,
) -> tuple[Tensor, Tensor]:
    check_layer(parts, weight, bias, slope, half)
    if members is not None:
        check_matrix(members, "members", (None,), torch.int64)
        inside = bool(((members >= 0) & (members < parts[0].shape[0])).all())
        require(inside, "members hold rows that there are not")
    check_clouds(parts[0] if members is None else members, starts, sizes)
    rows, owners = segment_rows(starts, sizes)
    y = layer_of_parts(parts, weight, bias, slope, half)
    y = y[rows if members is None else members[rows]]
    maxima = y.new_zeros(len(starts), y.shape[1])
    sums = torch.zeros_like(maxima, dtype=torch.float64).index_add_(0, owners, y.double())
    maxima.scatter_reduce_(0, owners[:, None].expand_as(y), y, "amax", include_self=False)
    return maxima, (sums / sizes.clamp(min=1)[:, None]).to(y)


def _linear_pool_fake(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
    half: bool,
) -> tuple[Tensor, Tensor]:
    shape = (starts.shape[0], weight.shape[0])
    return bias.new_empty(shape), bias.new_empty(shape)


declare(
    "linear_pool(Tensor[] parts, Tensor weight, Tensor bias, Tensor? members, Tensor starts, "
    "Tensor sizes, float slope, bool half) -> (Tensor, Tensor)",
    _linear_pool_torch,
    _linear_pool_fake,
)
