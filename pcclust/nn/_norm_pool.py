"""A scale and shift, LeakyReLU and pooling over clouds in few passes over memory.

Written out, these are a dozen passes over a matrix far larger than the caches. Here each cloud is
worked on while it is in the cache, and between forward and backward only the input is kept.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.nn._packed import Sizes, Uniform
from pcclust.ops._clouds import working_precision


def channel_sums(z: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
    """Returns ``(C,)`` float64 sums of ``(R, C)`` rows and of their squares."""
    if isinstance(sizes, Uniform):  # a compiler fuses what is written out
        parts = working_precision(z).view(*sizes, -1)
        return parts.sum(dim=1).double().sum(dim=0), parts.square().sum(dim=1).double().sum(dim=0)
    total, squares = _ChannelSums.apply(z, sizes)  # type: ignore[no-untyped-call]
    return total, squares


def activate_and_pool(
    z: Tensor, scale: Tensor, shift: Tensor, sizes: Sizes, negative_slope: float
) -> tuple[Tensor, Tensor]:
    """Returns maximum and mean over each cloud of ``leaky_relu(z * scale + shift)``.

    Args:
        z: ``(R, C)`` the rows of all clouds, one cloud after the other.
        scale: ``(C,)``.
        shift: ``(C,)``.
        sizes: the rows of each cloud.
        negative_slope: of the LeakyReLU.

    Returns:
        ``(B, C)`` and ``(B, C)``; differentiable once.
    """
    if isinstance(sizes, Uniform):
        y = F.leaky_relu(torch.addcmul(shift, z, scale), negative_slope).view(*sizes, -1)
        return y.amax(dim=1), y.mean(dim=1)
    maxima, means = _ActivateAndPool.apply(  # type: ignore[no-untyped-call]
        z, scale, shift, sizes, negative_slope
    )
    return maxima, means


class _ChannelSums(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:  # noqa: ANN401
        ctx.save_for_backward(z)
        parts = [working_precision(part) for part in z.split_with_sizes(sizes)]
        total = torch.stack([part.sum(dim=0) for part in parts])
        squares = torch.stack([part.square().sum(dim=0) for part in parts])
        return total.double().sum(dim=0), squares.double().sum(dim=0)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, total: Tensor, squares: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        (z,) = ctx.saved_tensors
        return torch.addcmul(total.to(z), z, (2 * squares).to(z)), None


class _ActivateAndPool(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        z: Tensor,
        scale: Tensor,
        shift: Tensor,
        sizes: list[int],
        negative_slope: float,
    ) -> tuple[Tensor, Tensor]:
        maxima, means = [], []
        for part in z.split_with_sizes(sizes):
            y = F.leaky_relu_(torch.addcmul(shift, part, scale), negative_slope)
            maxima.append(y.amax(dim=0))
            means.append(y.mean(dim=0))
        ctx.sizes, ctx.negative_slope = sizes, negative_slope
        ctx.save_for_backward(z, scale, shift)
        return torch.stack(maxima), torch.stack(means)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        to_maxima: Tensor,
        to_means: Tensor,
    ) -> tuple[Tensor | None, ...]:
        z, scale, shift = ctx.saved_tensors
        gradient = torch.empty_like(z)
        to_scale, to_shift = [], []
        parts = zip(
            z.split_with_sizes(ctx.sizes), gradient.split_with_sizes(ctx.sizes), strict=True
        )
        for (part, out), to_max, to_mean in zip(parts, to_maxima, to_means, strict=True):
            y = torch.addcmul(shift, part, scale)
            each = (to_mean / len(part)).expand_as(y) + _max_gradient(y, to_max)
            torch.ops.aten.leaky_relu_backward.grad_input(
                each, y, ctx.negative_slope, False, grad_input=out
            )
            to_shift.append(out.sum(dim=0))
            to_scale.append((out * part).sum(dim=0))
            out.mul_(scale)
        sums = (torch.stack(each).sum(dim=0) for each in (to_scale, to_shift))
        return gradient, *sums, None, None


def _max_gradient(x: Tensor, to_maxima: Tensor) -> Tensor:
    """Returns the gradient of ``x`` where ``to_maxima`` is that of ``x.amax(0)``.

    As in torch, entries that share a maximum share its gradient. A difference is 0 at maxima and
    below -tiny elsewhere; a comparison by `threshold_backward` is several times as fast as one
    with a boolean result.
    """
    below = x - x.amax(0)
    tiny = torch.finfo(x.dtype).tiny
    at_max: Tensor = torch.ops.aten.threshold_backward(torch.ones_like(below), below, -tiny)
    return at_max.mul_(to_maxima / at_max.sum(0))
