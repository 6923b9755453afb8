"""The maximum over the members of each group of what two layers make of them."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_matrix, require
from pcclust.ops._group_layer import (
    check_layer,
    hidden_layer,
    layer_gradients_fake,
    pull_back,
    runs,
)
from pcclust.ops._registry import call, declare


def group_max(
    features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
) -> Tensor:
    """Takes the maximum of ``out_weight leaky_relu(weight x + bias)`` over each group's members x.

    Args:
        features: ``(G, k, D)`` float32 or float64.
        weight: ``(H, D)``.
        bias: ``(H,)``.
        out_weight: ``(C, H)``.
        slope: of the LeakyReLU, finite and not negative.

    Returns:
        ``(G, C)``; differentiable once. The first of several largest members gets the gradient.
    """
    maxima, _ = _GroupMax.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, out_weight, slope
    )
    result: Tensor = maxima
    return result


class _GroupMax(torch.autograd.Function):
    @staticmethod
    def forward(
        features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
    ) -> tuple[Tensor, Tensor]:
        given = [tensor.contiguous() for tensor in (features, weight, bias, out_weight)]
        maxima, argmax = call("group_max", *given, slope)
        return maxima, argmax

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401
        *tensors, ctx.slope = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1], *tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, maxima: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        wanted = ctx.needs_input_grad[0]
        given = [tensor.contiguous() for tensor in (maxima, *ctx.saved_tensors)]
        to_features, *rest = call("group_max_backward", *given, ctx.slope, wanted)
        return to_features if wanted else None, *rest, None


def _group_max_torch(
    features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    check_layer(features, weight, bias, slope)
    check_matrix(out_weight, "out_weight", (None, len(weight)), features.dtype)
    groups, k, _ = features.shape
    maxima = features.new_empty(groups, len(out_weight))
    argmax = torch.empty_like(maxima, dtype=torch.int32)
    for run in runs(features):
        hidden = hidden_layer(features[run], weight, bias, slope)
        members = F.linear(hidden, out_weight).view(len(features[run]), k, len(out_weight))
        maxima[run], argmax[run] = members.max(dim=1)
    return maxima, argmax


def _group_max_backward_torch(
    max_gradient: Tensor,
    argmax: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    out_weight: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    check_layer(features, weight, bias, slope)
    check_matrix(out_weight, "out_weight", (None, len(weight)), features.dtype)
    shape = (len(features), len(out_weight))
    check_matrix(max_gradient, "max_gradient", shape, features.dtype)
    check_matrix(argmax, "argmax", shape, torch.int32)
    valid = bool(((argmax >= 0) & (argmax < features.shape[1])).all())
    require(valid, "argmax holds members that a group does not have")
    to_out_weight = torch.zeros_like(out_weight)
    k = features.shape[1]

    def pull(run: slice, hidden: Tensor) -> Tensor:
        members = hidden.new_zeros(hidden.shape[0] // k, k, len(out_weight))
        members.scatter_(1, argmax[run, None].long(), max_gradient[run, None])
        to_members = members.flatten(0, 1)
        to_out_weight.add_(to_members.T @ hidden)
        return to_members @ out_weight

    return *pull_back(pull, features, weight, bias, slope, wanted), to_out_weight


def _group_max_fake(
    features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    shape = (features.shape[0], out_weight.shape[0])
    return features.new_empty(shape), features.new_empty(shape, dtype=torch.int32)


def _group_max_backward_fake(
    max_gradient: Tensor,
    argmax: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    out_weight: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    layer = layer_gradients_fake(features, weight, bias, wanted)
    return *layer, torch.empty_like(out_weight)


declare(
    "group_max(Tensor features, Tensor weight, Tensor bias, Tensor out_weight, float slope) "
    "-> (Tensor, Tensor)",
    _group_max_torch,
    _group_max_fake,
)
declare(
    "group_max_backward(Tensor max_gradient, Tensor argmax, Tensor features, Tensor weight, "
    "Tensor bias, Tensor out_weight, float slope, bool wanted) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _group_max_backward_torch,
    _group_max_backward_fake,
)
