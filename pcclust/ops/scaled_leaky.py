"""A scale and an offset for each channel, and LeakyReLU, in one pass over memory each way."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_matrix, check_slope
from pcclust.ops._last_backward import in_last_backward
from pcclust.ops._registry import call, declare


def scaled_leaky(values: Tensor, scale: Tensor, offset: Tensor, negative_slope: float) -> Tensor:
    """Returns ``leaky_relu(values * scale + offset)``; differentiable once.

    Args:
        values: ``(R, C)`` float32 or float64 that nobody else uses: the last backward pass
            overwrites them.
        scale: ``(C,)`` of the dtype of ``values``.
        offset: ``(C,)`` of the dtype of ``values``.
        negative_slope: of the LeakyReLU, finite and not negative.
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
        given = [each.contiguous() for each in (values, scale, offset)]
        y: Tensor = call("scaled_leaky", *given, negative_slope)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # noqa: ANN401
        *tensors, ctx.negative_slope = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, to_y: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        given = [each.contiguous() for each in (to_y, *ctx.saved_tensors)]
        if in_last_backward():
            gradient, sums = given[1], call("scaled_leaky_backward_", *given, ctx.negative_slope)
        else:
            gradient, sums = call("scaled_leaky_backward", *given, ctx.negative_slope)
        return gradient, *sums.to(gradient).unbind(), None


def _check(values: Tensor, scale: Tensor, offset: Tensor, slope: float) -> None:
    check_matrix(values, "values")
    check_matrix(scale, "scale", values.shape[1:], values.dtype)
    check_matrix(offset, "offset", values.shape[1:], values.dtype)
    check_slope(slope)


def _scaled_leaky_torch(values: Tensor, scale: Tensor, offset: Tensor, slope: float) -> Tensor:
    _check(values, scale, offset, slope)
    return F.leaky_relu(torch.addcmul(offset, values, scale), slope)


def _scaled_leaky_backward_torch(
    to_out: Tensor, values: Tensor, scale: Tensor, offset: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    _check(values, scale, offset, slope)
    check_matrix(to_out, "to_out", tuple(values.shape), values.dtype)
    to_x = torch.where(torch.addcmul(offset, values, scale) > 0, to_out, to_out * slope)
    sums = [(each.double() * to_x).sum(dim=0) for each in (values, torch.ones_like(values))]
    return to_x * scale, torch.stack(sums)


def _scaled_leaky_backward_in_place_torch(
    to_out: Tensor, values: Tensor, scale: Tensor, offset: Tensor, slope: float
) -> Tensor:
    gradient, sums = _scaled_leaky_backward_torch(to_out, values, scale, offset, slope)
    values.copy_(gradient)
    return sums


def _sums_fake(to_out: Tensor, values: Tensor, *_: object) -> Tensor:
    return values.new_empty((2, values.shape[1]), dtype=torch.float64)


declare(
    "scaled_leaky(Tensor values, Tensor scale, Tensor offset, float slope) -> Tensor",
    _scaled_leaky_torch,
    lambda values, *_: torch.empty_like(values),
)
declare(
    "scaled_leaky_backward(Tensor to_out, Tensor values, Tensor scale, Tensor offset, "
    "float slope) -> (Tensor, Tensor)",
    _scaled_leaky_backward_torch,
    lambda *given: (torch.empty_like(given[1]), _sums_fake(*given)),
)
# The same, into the memory of `values`; returns the sums alone.
declare(
    "scaled_leaky_backward_(Tensor to_out, Tensor(a!) values, Tensor scale, Tensor offset, "
    "float slope) -> Tensor",
    _scaled_leaky_backward_in_place_torch,
    _sums_fake,
)
