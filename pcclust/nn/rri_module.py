"""The RRI module of ClusterNet: a small PointNet over the neighbourhood of every point."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from pcclust.nn._folded_norm import Moments, fold, moments
from pcclust.nn._linear import linear
from pcclust.nn._peaks import peaks

POINTS_AT_A_TIME = 512  # whose edges' features are worked on while they are in the cache


class RRIModule(nn.Module):
    """Maps the rotation-invariant features of every neighbour and takes the maximum over them.

    The four numbers, r_ik taken relative to r_i, are standardised; then follow two linear layers,
    each with BatchNorm and LeakyReLU, shared by all neighbours of all points. The paper says only
    that a PointNet is applied to the K four-vectors of a point; all of this is our choice.
    Features of edges are computed a few at a time, in training once more in the backward pass, so
    that memory never holds them all.

    Args:
        out_channels: channels of the output.
        hidden_channels: channels between the two layers.
        negative_slope: of the LeakyReLUs.

    Source: Chen et al., "ClusterNet: Deep Hierarchical Cluster Network with Rigorously
    Rotation-Invariant Representation for Point Cloud Analysis" (2019), section 3.

    Example:
        >>> import torch, pcclust
        >>> from pcclust.nn import RRIModule
        >>> RRIModule(64)(pcclust.rri(torch.rand(2, 100, 3), k=20)).shape
        torch.Size([2, 100, 64])
    """

    def __init__(
        self, out_channels: int, *, hidden_channels: int = 32, negative_slope: float = 0.2
    ) -> None:
        super().__init__()
        self.out_channels = out_channels
        self.negative_slope = negative_slope
        # The four are of unlike size; their means vanish in the BatchNorm that follows.
        self.input_norm = nn.BatchNorm1d(4, affine=False)
        self.linear1 = nn.Linear(4, hidden_channels, bias=False)
        self.norm1 = nn.BatchNorm1d(hidden_channels)
        self.linear2 = nn.Linear(hidden_channels, out_channels, bias=False)
        self.norm2 = nn.BatchNorm1d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Describes each point by its neighbourhood.

        Args:
            features: ``(..., k, 4)`` as `pcclust.rri` returns them, without rows of padding.

        Returns:
            ``(..., out_channels)``.

        Raises:
            ValueError: wrong shape, or a single neighbour of a single point to train on.
        """
        if features.dim() < 2 or features.shape[-1] != 4:
            raise ValueError(f"features must be (..., k, 4), got {tuple(features.shape)}")
        if self.training and features.numel() == 4:
            raise ValueError("BatchNorm needs more than one neighbour to train on")
        edges = features.flatten(0, -3) if features.dim() > 2 else features[None]
        own, others = edges[..., :1], edges[..., 1:2]
        edges = torch.cat([own, others - own, edges[..., 2:]], dim=-1)
        parts = edges.split_with_sizes(_run_lengths(len(edges), POINTS_AT_A_TIME))
        first = self._first_layer(parts)
        second = self._second_layer(parts, first)
        largest = [_saving_memory(self._peaks, part, *first, *second) for part in parts]
        y = F.leaky_relu(torch.cat(largest), self.negative_slope)
        return y.view(*features.shape[:-2], self.out_channels)

    def _first_layer(self, parts: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Returns weight and bias of the first layer with the BatchNorms before and after it."""
        seen = None
        if self.training:
            seen = _sum_moments([moments(part.flatten(0, 1)) for part in parts])
        weight = self.linear1.weight.double()
        identity = torch.eye(4, dtype=weight.dtype, device=weight.device)
        standardize, shift = fold(identity, identity.new_zeros(4), self.input_norm, seen)
        weight, bias = fold(weight @ standardize, weight @ shift, self.norm1, seen)
        return weight.to(self.linear1.weight), bias.to(self.linear1.weight)

    def _second_layer(
        self, parts: tuple[Tensor, ...], first: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Returns weight and bias of the second layer with its BatchNorm."""
        seen = None
        if self.training:
            sums = [Moments(*_saving_memory(self._hidden_moments, part, *first)) for part in parts]
            seen = _sum_moments(sums)
        weight = self.linear2.weight.double()
        weight, bias = fold(weight, weight.new_zeros(len(weight)), self.norm2, seen)
        return weight.to(self.linear2.weight), bias.to(self.linear2.weight)

    def _hidden(self, part: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        hidden = linear(part.flatten(0, 1), weight, bias)
        return F.leaky_relu(hidden, self.negative_slope, inplace=True)

    def _hidden_moments(self, part: Tensor, weight: Tensor, bias: Tensor) -> Moments:
        return moments(self._hidden(part, weight, bias))

    def _peaks(
        self, part: Tensor, weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor
    ) -> Tensor:
        """Returns the largest output over each point's neighbours, before the last LeakyReLU.

        What follows is monotone, so it may follow the maximum instead of preceding it.
        """
        edges = linear(self._hidden(part, weight1, bias1), weight2)
        return peaks(edges.view(*part.shape[:2], -1), dim=1) + bias2


def _run_lengths(count: int, run: int) -> list[int]:
    """Returns how long the runs are into which ``count`` things are cut."""
    return [min(run, count - begin) for begin in range(0, count, run)]


def _sum_moments(parts: list[Moments]) -> Moments:
    total = torch.stack([part.total for part in parts]).sum(dim=0)
    products = torch.stack([part.products for part in parts]).sum(dim=0)
    return Moments(total, products, sum(part.rows for part in parts))


def _saving_memory(function: Callable[..., Any], *args: Tensor) -> Any:  # noqa: ANN401
    """Calls ``function``, which the backward pass will call once more instead of keeping all."""
    if not torch.is_grad_enabled():
        return function(*args)
    return checkpoint(function, *args, use_reentrant=False, preserve_rng_state=False)
