"""The layer of `group_moments` and `group_max`, on members of groups, in the twins of both.

A PointNet over the neighbourhood of every point is two layers on each neighbour and a maximum over
them; with BatchNorm, what the hidden layer makes of all neighbours is needed only in sums. Nothing
of size groups × k × channels is ever held, in the forward or the backward pass.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_matrix, check_slope, require

# What the twins work on at a time: on a CPU as much as the caches hold.
CPU_MEMBERS, OTHER_MEMBERS = 2**13, 2**20


def runs(features: Tensor) -> Iterator[slice]:
    """Yields the runs of groups that are worked on at a time."""
    members = CPU_MEMBERS if features.device.type == "cpu" else OTHER_MEMBERS
    run = max(members // features.shape[1], 1)
    for begin in range(0, len(features), run):
        yield slice(begin, begin + run)


def hidden_layer(features: Tensor, weight: Tensor, bias: Tensor, slope: float) -> Tensor:
    """Returns ``(members, H)`` of what the first layer makes of some groups."""
    return F.leaky_relu(F.linear(features.flatten(0, 1), weight, bias), slope)


def check_layer(features: Tensor, weight: Tensor, bias: Tensor, slope: float) -> None:
    check_matrix(features, "features", (None, None, None))
    require(features.shape[1] >= 1, "a group needs at least one member")
    check_slope(slope)
    check_matrix(weight, "weight", (None, features.shape[2]), features.dtype)
    check_matrix(bias, "bias", (len(weight),), features.dtype)


def pull_back(
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
    for run in runs(features):
        hidden = hidden_layer(features[run], weight, bias, slope)
        to_hidden = pull(run, hidden)
        gradient = torch.where(hidden > 0, to_hidden, to_hidden * slope)
        to_weight += gradient.T @ features[run].flatten(0, 1)
        to_bias += gradient.sum(dim=0)
        if wanted:
            to_features[run] = (gradient @ weight).view_as(features[run])
    return to_features, to_weight, to_bias


def layer_gradients_fake(
    features: Tensor, weight: Tensor, bias: Tensor, wanted: bool
) -> tuple[Tensor, Tensor, Tensor]:
    to_features = torch.empty_like(features) if wanted else features.new_empty(0)
    return to_features, torch.empty_like(weight), torch.empty_like(bias)
