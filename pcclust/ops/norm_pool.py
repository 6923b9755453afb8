"""`segment_pool` of a BatchNorm of all rows, as in training."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from pcclust.ops._registry import call
from pcclust.ops.segment_pool import Saved, parameter_sums, pool_rows, pull_rows, wanted_gradients
from pcclust.ops.segments import Segments


class Pooled(NamedTuple):
    """What `norm_pool` returns.

    Attributes:
        maxima: ``(S, C)``.
        means: ``(S, C)``.
        mean: ``(C,)`` float64 of all rows, summed in float64, without gradient.
        variance: ``(C,)`` float64 of all rows, biased, likewise.
    """

    maxima: Tensor
    means: Tensor
    mean: Tensor
    variance: Tensor


def norm_pool(
    values: Tensor,
    weight: Tensor,
    bias: Tensor,
    eps: float,
    segments: Segments,
    slope: float,
    *,
    consume: bool = False,
) -> Pooled:
    """Returns `segment_pool` of a BatchNorm of all rows, as in training.

    Args:
        values: ``(R, C)`` float32 or float64.
        weight: ``(C,)`` of the BatchNorm.
        bias: ``(C,)`` of the BatchNorm.
        eps: that is added to variances.
        segments: S of them, with each row once at most.
        slope: of the LeakyReLU, finite and not negative.
        consume: whether nobody else uses ``values``, and the last backward pass may overwrite them
            with their gradient.

    Returns:
        Maxima and means as `segment_pool`, differentiable once, and the statistics.
    """
    maxima, means, mean, variance = _NormPool.apply(  # type: ignore[no-untyped-call]
        values, weight, bias, eps, *segments, slope, consume
    )
    return Pooled(maxima, means, mean, variance)


class _NormPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        values: Tensor,
        weight: Tensor,
        bias: Tensor,
        eps: float,
        members: Tensor | None,
        starts: Tensor,
        sizes: Tensor,
        slope: float,
        consume: bool,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, squares = call("row_moments", values.contiguous()) / len(values)
        variance = (squares - mean.square()).clamp(min=0)
        deviation = (variance + eps).sqrt()
        scale = weight.double() / deviation
        shift = bias.double() - mean * scale
        parameters = (scale.to(values), shift.to(values))
        maxima, means, saved = pool_rows(values, *parameters, members, starts, sizes, slope)
        ctx.slope, ctx.dtype, ctx.consume = slope, weight.dtype, consume
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*saved, mean, deviation)
        ctx.mark_non_differentiable(mean, variance)
        return maxima, means, mean, variance

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        to_maxima: Tensor | None,
        to_means: Tensor | None,
        *_: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        *rest, mean, deviation = ctx.saved_tensors
        saved = Saved(*rest)
        to_maxima, to_rows = wanted_gradients(saved, to_maxima, to_means)
        to_scale, to_bias = parameter_sums(saved, to_maxima, to_rows, ctx.slope)
        to_weight = (to_scale - mean * to_bias) / deviation
        # z also moves the mean and the deviation by which it is standardised.
        rows = len(saved.values)
        linear = -saved.scale.double() * to_weight / (deviation * rows)
        constant = -saved.scale.double() * to_bias / rows - linear * mean
        terms = (linear.to(saved.scale), constant.to(saved.scale))
        given = (to_maxima, to_rows, *terms, ctx.slope)
        gradient = pull_rows(saved, *given, consume=ctx.consume)
        return gradient, to_weight.to(ctx.dtype), to_bias.to(ctx.dtype), *[None] * 6
