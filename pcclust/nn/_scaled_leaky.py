"""A scale and an offset for each channel, and LeakyReLU, in little memory."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._last_backward import in_last_backward

CHUNK = 1 << 17  # numbers, few enough for a processor's second cache


def scaled_leaky(values: Tensor, scale: Tensor, offset: Tensor, negative_slope: float) -> Tensor:
    """Returns ``leaky_relu(values * scale + offset)``; differentiable once.

    Args:
        values: ``(R, C)`` that nobody else uses: the last backward pass overwrites them.
        scale: ``(C,)`` of the dtype of ``values``.
        offset: ``(C,)`` of the dtype of ``values``.
        negative_slope: of the LeakyReLU, not negative.
    """
    if torch.compiler.is_compiling() or values.device.type != "cpu" or negative_slope < 0:
        return F.leaky_relu(torch.addcmul(offset, values, scale), negative_slope, inplace=True)
    y: Tensor = _ScaledLeaky.apply(  # type: ignore[no-untyped-call]
        values, scale, offset, negative_slope
    )
    return y


class _ScaledLeaky(torch.autograd.Function):
    @staticmethod
    def forward(values: Tensor, scale: Tensor, offset: Tensor, negative_slope: float) -> Tensor:
        return F.leaky_relu(torch.addcmul(offset, values, scale), negative_slope, inplace=True)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ANN401
        values, scale, _, ctx.negative_slope = inputs
        ctx.save_for_backward(values, scale, output)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_y: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        values, scale, y = ctx.saved_tensors
        room = values if in_last_backward() else torch.empty_like(values)
        rows = max(1, CHUNK // max(1, values.shape[1]))
        # First the products for the scale, then the gradient itself, in the same memory.
        for part, own, pull, out in zip(
            *(each.split(rows) for each in (room, values, to_y, y)), strict=True
        ):
            torch.mul(own, _through_leaky(pull, out, ctx.negative_slope), out=part)
        to_scale = room.sum(dim=0)
        torch.ops.aten.leaky_relu_backward.grad_input(
            to_y, y, ctx.negative_slope, True, grad_input=room
        )
        to_offset = room.sum(dim=0)
        return room.mul_(scale), to_scale, to_offset, None


def _through_leaky(gradient: Tensor, y: Tensor, negative_slope: float) -> Tensor:
    back: Tensor = torch.ops.aten.leaky_relu_backward(gradient, y, negative_slope, True)
    return back
