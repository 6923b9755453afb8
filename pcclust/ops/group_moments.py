"""Sums of what a layer makes of the members of groups, and of products of its channels."""

from typing import Any

import torch
from torch import Tensor

from pcclust.ops._checks import check_matrix
from pcclust.ops._group_layer import (
    check_layer,
    hidden_layer,
    layer_gradients_fake,
    pull_back,
    runs,
)
from pcclust.ops._registry import call, declare


def group_moments(
    features: Tensor, weight: Tensor, bias: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    """Sums ``h = leaky_relu(weight x + bias)`` over all members x of all groups.

    Args:
        features: ``(G, k, D)`` float32 or float64, k members of each group.
        weight: ``(H, D)``.
        bias: ``(H,)``.
        slope: of the LeakyReLU, finite and not negative; 1 for none.

    Returns:
        ``(H,)`` and ``(H, H)`` float64: the sums of h and of the products of each pair of its
        channels. Differentiable once.
    """
    total, products = _GroupMoments.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, slope
    )
    return total, products


class _GroupMoments(torch.autograd.Function):
    @staticmethod
    def forward(
        features: Tensor, weight: Tensor, bias: Tensor, slope: float
    ) -> tuple[Tensor, Tensor]:
        total, products = call(
            "group_moments", features.contiguous(), weight.contiguous(), bias.contiguous(), slope
        )
        return total, products

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401
        *tensors, ctx.slope = inputs
        ctx.save_for_backward(*tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        total: Tensor,
        products: Tensor,
    ) -> tuple[Tensor | None, ...]:
        wanted = ctx.needs_input_grad[0]
        given = [tensor.contiguous() for tensor in (total, products, *ctx.saved_tensors)]
        to_features, to_weight, to_bias = call("group_moments_backward", *given, ctx.slope, wanted)
        return to_features if wanted else None, to_weight, to_bias, None


def _group_moments_torch(
    features: Tensor, weight: Tensor, bias: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    check_layer(features, weight, bias, slope)
    total = features.new_zeros(len(weight), dtype=torch.float64)
    products = features.new_zeros((len(weight), len(weight)), dtype=torch.float64)
    for run in runs(features):
        hidden = hidden_layer(features[run], weight, bias, slope)
        total += hidden.sum(dim=0)
        products += hidden.T @ hidden
    return total, products


def _group_moments_backward_torch(
    total_gradient: Tensor,
    products_gradient: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    check_layer(features, weight, bias, slope)
    hidden = len(weight)
    check_matrix(total_gradient, "total_gradient", (hidden,), torch.float64)
    check_matrix(products_gradient, "products_gradient", (hidden, hidden), torch.float64)
    linear = (products_gradient + products_gradient.T).to(features.dtype)
    constant = total_gradient.to(features.dtype)

    def pull(run: slice, hidden: Tensor) -> Tensor:
        return constant + hidden @ linear

    return pull_back(pull, features, weight, bias, slope, wanted)


def _group_moments_fake(
    features: Tensor, weight: Tensor, bias: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    hidden = len(weight)
    return (
        features.new_empty(hidden, dtype=torch.float64),
        features.new_empty((hidden, hidden), dtype=torch.float64),
    )


def _group_moments_backward_fake(
    total_gradient: Tensor,
    products_gradient: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return layer_gradients_fake(features, weight, bias, wanted)


declare(
    "group_moments(Tensor features, Tensor weight, Tensor bias, float slope) -> (Tensor, Tensor)",
    _group_moments_torch,
    _group_moments_fake,
)
declare(
    "group_moments_backward(Tensor total_gradient, Tensor products_gradient, Tensor features, "
    "Tensor weight, Tensor bias, float slope, bool wanted) -> (Tensor, Tensor, Tensor)",
    _group_moments_backward_torch,
    _group_moments_backward_fake,
)
