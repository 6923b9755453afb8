"""A perceptron on the members of groups, and what is needed of all of them: moments and maxima.

A PointNet over the neighbourhood of every point is two layers on each neighbour and a maximum over
them; with BatchNorm, what the hidden layer makes of all neighbours is needed only in sums. Nothing
of size groups × k × channels is ever held, in the forward or the backward pass.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_matrix, require
from pcclust.ops._registry import call, declare

# What the twin works on at a time: on a CPU as much as the caches hold.
CPU_MEMBERS, OTHER_MEMBERS = 2**13, 2**20


def group_moments(
    features: Tensor, weight: Tensor, bias: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    """Sums ``h = leaky_relu(weight x + bias)`` over all members x of all groups.

    Args:
        features: ``(G, k, D)`` float32 or float64, k members of each group.
        weight: ``(H, D)``.
        bias: ``(H,)``.
        slope: of the LeakyReLU, not negative; 1 for none.

    Returns:
        ``(H,)`` and ``(H, H)`` float64: the sums of h and of the products of each pair of its
        channels. Differentiable once.
    """
    total, products = _GroupMoments.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, slope
    )
    return total, products


def group_peaks(
    features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
) -> Tensor:
    """Takes the maximum of ``out_weight leaky_relu(weight x + bias)`` over each group's members x.

    Args:
        features: ``(G, k, D)`` float32 or float64.
        weight: ``(H, D)``.
        bias: ``(H,)``.
        out_weight: ``(C, H)``.
        slope: of the LeakyReLU, not negative.

    Returns:
        ``(G, C)``; differentiable once. The first of several largest members gets the gradient.
    """
    peaks, _ = _GroupPeaks.apply(  # type: ignore[no-untyped-call]
        features, weight, bias, out_weight, slope
    )
    result: Tensor = peaks
    return result


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


class _GroupPeaks(torch.autograd.Function):
    @staticmethod
    def forward(
        features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
    ) -> tuple[Tensor, Tensor]:
        given = [tensor.contiguous() for tensor in (features, weight, bias, out_weight)]
        peaks, chosen = call("group_peaks", *given, slope)
        return peaks, chosen

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401
        *tensors, ctx.slope = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1], *tensors)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, peaks: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        wanted = ctx.needs_input_grad[0]
        given = [tensor.contiguous() for tensor in (peaks, *ctx.saved_tensors)]
        to_features, *rest = call("group_peaks_backward", *given, ctx.slope, wanted)
        return to_features if wanted else None, *rest, None


def _runs(features: Tensor) -> Iterator[slice]:
    """Yields the runs of groups that are worked on at a time."""
    members = CPU_MEMBERS if features.device.type == "cpu" else OTHER_MEMBERS
    run = max(members // features.shape[1], 1)
    for begin in range(0, len(features), run):
        yield slice(begin, begin + run)


def _hidden(features: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Returns ``(members, H)`` of what the first layer makes of some groups."""
    return F.leaky_relu(F.linear(features.flatten(0, 1), weight, bias), slope)


def _check_layer(features: Tensor, weight: Tensor, bias: Tensor, slope: float) -> None:
    check_matrix(features, "features", (None, None, None))
    require(features.shape[1] >= 1, "a group needs at least one member")
    require(slope >= 0, f"slope must not be negative, got {slope}")
    check_matrix(weight, "weight", (None, features.shape[2]), features.dtype)
    check_matrix(bias, "bias", (len(weight),), features.dtype)


def _group_moments_torch(
    features: Tensor, weight: Tensor, bias: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    _check_layer(features, weight, bias, slope)
    total = features.new_zeros(len(weight), dtype=torch.float64)
    products = features.new_zeros((len(weight), len(weight)), dtype=torch.float64)
    for run in _runs(features):
        hidden = _hidden(features[run], weight, bias, slope)
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
    _check_layer(features, weight, bias, slope)
    hidden = len(weight)
    check_matrix(total_gradient, "total_gradient", (hidden,), torch.float64)
    check_matrix(products_gradient, "products_gradient", (hidden, hidden), torch.float64)
    linear = (products_gradient + products_gradient.T).to(features.dtype)
    constant = total_gradient.to(features.dtype)

    def pull(run: slice, hidden: Tensor) -> Tensor:
        return constant + hidden @ linear

    return _pull_back(pull, features, weight, bias, slope, wanted)


def _group_peaks_torch(
    features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    _check_layer(features, weight, bias, slope)
    check_matrix(out_weight, "out_weight", (None, len(weight)), features.dtype)
    groups, k, _ = features.shape
    peaks = features.new_empty(groups, len(out_weight))
    chosen = torch.empty_like(peaks, dtype=torch.int32)
    for run in _runs(features):
        hidden = _hidden(features[run], weight, bias, slope)
        members = F.linear(hidden, out_weight).view(len(features[run]), k, len(out_weight))
        peaks[run], chosen[run] = members.max(dim=1)
    return peaks, chosen


def _group_peaks_backward_torch(
    peak_gradient: Tensor,
    chosen: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    out_weight: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _check_layer(features, weight, bias, slope)
    check_matrix(out_weight, "out_weight", (None, len(weight)), features.dtype)
    shape = (len(features), len(out_weight))
    check_matrix(peak_gradient, "peak_gradient", shape, features.dtype)
    check_matrix(chosen, "chosen", shape, torch.int32)
    valid = bool(((chosen >= 0) & (chosen < features.shape[1])).all())
    require(valid, "chosen holds members that a group does not have")
    to_out_weight = torch.zeros_like(out_weight)
    k = features.shape[1]

    def pull(run: slice, hidden: Tensor) -> Tensor:
        members = hidden.new_zeros(hidden.shape[0] // k, k, len(out_weight))
        members.scatter_(1, chosen[run, None].long(), peak_gradient[run, None])
        to_members = members.flatten(0, 1)
        to_out_weight.add_(to_members.T @ hidden)
        return to_members @ out_weight

    return *_pull_back(pull, features, weight, bias, slope, wanted), to_out_weight


def _pull_back(
    pull: Callable[[slice, Tensor], Tensor],
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the gradients of features (empty unless wanted), weight and bias.

    ``pull`` gives that of the hidden channels, from a run of groups and these channels.
    """
    to_features = torch.empty_like(features) if wanted else features.new_empty(0)
    to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
    for run in _runs(features):
        hidden = _hidden(features[run], weight, bias, slope)
        to_hidden = pull(run, hidden)
        gradient = torch.where(hidden > 0, to_hidden, to_hidden * slope)
        to_weight += gradient.T @ features[run].flatten(0, 1)
        to_bias += gradient.sum(dim=0)
        if wanted:
            to_features[run] = (gradient @ weight).view_as(features[run])
    return to_features, to_weight, to_bias


def _group_moments_fake(
    features: Tensor, weight: Tensor, bias: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    hidden = len(weight)
    return (
        features.new_empty(hidden, dtype=torch.float64),
        features.new_empty((hidden, hidden), dtype=torch.float64),
    )


def _layer_gradients_fake(
    features: Tensor, weight: Tensor, bias: Tensor, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    to_features = torch.empty_like(features) if wanted else features.new_empty(0)
    return to_features, torch.empty_like(weight), torch.empty_like(bias)


def _group_moments_backward_fake(
    total_gradient: Tensor,
    products_gradient: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    return _layer_gradients_fake(features, weight, bias, wanted)


def _group_peaks_fake(
    features: Tensor, weight: Tensor, bias: Tensor, out_weight: Tensor, slope: float
) -> tuple[Tensor, Tensor]:
    shape = (features.shape[0], out_weight.shape[0])
    return features.new_empty(shape), features.new_empty(shape, dtype=torch.int32)


def _group_peaks_backward_fake(
    peak_gradient: Tensor,
    chosen: Tensor,
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    out_weight: Tensor,
    slope: float,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    layer = _layer_gradients_fake(features, weight, bias, wanted)
    return *layer, torch.empty_like(out_weight)


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
declare(
    "group_peaks(Tensor features, Tensor weight, Tensor bias, Tensor out_weight, float slope) "
    "-> (Tensor, Tensor)",
    _group_peaks_torch,
    _group_peaks_fake,
)
declare(
    "group_peaks_backward(Tensor peak_gradient, Tensor chosen, Tensor features, Tensor weight, "
    "Tensor bias, Tensor out_weight, float slope, bool wanted) "
    "-> (Tensor, Tensor, Tensor, Tensor)",
    _group_peaks_backward_torch,
    _group_peaks_backward_fake,
)
