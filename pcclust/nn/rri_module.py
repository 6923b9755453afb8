"""The RRI module of ClusterNet: a small PointNet over the neighbourhood of every point."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.nn._folded_norm import Moments, fold
from pcclust.ops._clouds import working_precision
from pcclust.ops.group_max import group_max
from pcclust.ops.group_moments import group_moments


class RRIModule(nn.Module):
    """Maps the rotation-invariant features of every neighbour and takes the maximum over them.

    The four numbers, r_ik taken relative to r_i, are standardised; then follow two linear layers,
    each with BatchNorm and LeakyReLU, shared by all neighbours of all points. The paper says only
    that a PointNet is applied to the K four-vectors of a point; all of this is our choice. What the
    layers make of all neighbours is never held: see `pcclust.ops.group_max`.

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
        edges = working_precision(features.flatten(0, -3) if features.dim() > 2 else features[None])
        own, others = edges[..., :1], edges[..., 1:2]
        if edges.requires_grad:
            edges = torch.cat([own, others - own, edges[..., 2:]], dim=-1)
        else:  # the same in a pass less
            edges = edges.clone()
            edges[..., 1:2].sub_(own)
        first = self._first_layer(edges)
        second, bias = self._second_layer(edges, first)
        # What follows is monotone, so it may follow the maximum instead of preceding it.
        maxima = group_max(edges, *first, second, self.negative_slope) + bias
        y = F.leaky_relu(maxima, self.negative_slope).to(self.linear2.weight.dtype)
        return y.view(*features.shape[:-2], self.out_channels)

    def _first_layer(self, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Returns weight and bias of the first layer with the BatchNorms before and after it."""
        identity = torch.eye(4, dtype=torch.float64, device=edges.device)
        nothing = identity.new_zeros(4)
        seen = None
        if self.training:
            seen = _moments(edges, identity.to(edges), nothing.to(edges), slope=1.0)
        standardize, shift = fold(identity, nothing, self.input_norm, seen)
        weight = self.linear1.weight.double()
        weight, bias = fold(weight @ standardize, weight @ shift, self.norm1, seen)
        return weight.to(edges), bias.to(edges)

    def _second_layer(self, edges: Tensor, first: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Returns weight and bias of the second layer with its BatchNorm."""
        seen = _moments(edges, *first, slope=self.negative_slope) if self.training else None
        weight = self.linear2.weight.double()
        weight, bias = fold(weight, weight.new_zeros(len(weight)), self.norm2, seen)
        return weight.to(edges), bias.to(edges)


def _moments(edges: Tensor, weight: Tensor, bias: Tensor, *, slope: float) -> Moments:
    """Returns the moments of what a layer makes of all edges."""
    return Moments(*group_moments(edges, weight, bias, slope), edges.shape[0] * edges.shape[1])
