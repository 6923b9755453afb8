"""Cluster abstraction, the pooling layer of ClusterNet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._evaluation import folded, fuses, halved
from pcclust.nn._linear import linear
from pcclust.nn._norm_pool import normalize_and_pool
from pcclust.nn.shared_mlp import shared_mlp
from pcclust.ops.linear_pool import linear_pool
from pcclust.ops.segments import Segments


class ClusterAbstraction(nn.Module):
    """Maps every member by a linear layer, BatchNorm and LeakyReLU; takes each cluster's maximum.

    The paper names the pooling, not the layer nor the reduction; these are our choice. A maximum
    does not depend on how densely a cluster was sampled, and members that rounding moves from one
    cluster to the next change it only where they were its largest.

    Args:
        in_channels: channels of the members.
        out_channels: channels of the clusters.
        negative_slope: of the LeakyReLU.

    Source: Chen et al., "ClusterNet: Deep Hierarchical Cluster Network with Rigorously
    Rotation-Invariant Representation for Point Cloud Analysis" (2019), section 3.

    Example:
        >>> import torch, pcclust
        >>> from pcclust.nn import ClusterAbstraction
        >>> points = torch.rand(100, 3)
        >>> clusters = pcclust.ward_labels(points, 10)
        >>> ClusterAbstraction(3, 32)(points, clusters, 10).shape
        torch.Size([10, 32])
    """

    def __init__(self, in_channels: int, out_channels: int, *, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.negative_slope = negative_slope
        self.layer = shared_mlp([in_channels, out_channels], negative_slope=negative_slope)

    def forward(self, x: Tensor | Sequence[Tensor], clusters: Tensor, num_clusters: int) -> Tensor:
        """Pools.

        Args:
            x: ``(R, in_channels)`` members of all clusters; or several matrices that have these
                channels side by side.
            clusters: ``(R,)`` int64, the cluster of each, from 0; every cluster has a member.
            num_clusters: how many clusters.

        Returns:
            ``(num_clusters, out_channels)``.

        Raises:
            ValueError: wrong shapes.
        """
        parts = [x] if isinstance(x, Tensor) else list(x)
        self._check(parts, clusters)
        weight, norm = self.layer.weight_and_norm(0)
        if torch.compiler.is_compiling():
            return self._written_out(parts, clusters, num_clusters)
        members = clusters.argsort(stable=True)
        sizes = torch.bincount(clusters, minlength=num_clusters)
        owned = Segments(members, sizes.cumsum(dim=0) - sizes, sizes)
        if fuses(norm, weight, parts):
            layer, half = folded(weight, norm), halved(weight)
            return linear_pool(parts, *layer, owned, self.negative_slope, half)[0]
        z = linear(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0], weight)
        return normalize_and_pool(z, norm, owned, self.negative_slope)[0]

    def _written_out(self, parts: list[Tensor], clusters: Tensor, num_clusters: int) -> Tensor:
        y: Tensor = self.layer(torch.cat(parts, dim=1))
        pooled = y.new_zeros(num_clusters, self.out_channels)
        owners = clusters[:, None].expand_as(y)
        return pooled.scatter_reduce(0, owners, y, reduce="amax", include_self=False)

    def _check(self, parts: list[Tensor], clusters: Tensor) -> None:
        rows, channels = parts[0].shape[:1], sum(part.shape[-1] for part in parts)
        if any(part.dim() != 2 for part in parts) or channels != self.in_channels:
            shapes = ", ".join(str(tuple(part.shape)) for part in parts)
            raise ValueError(f"x must be (R, {self.in_channels}), got {shapes}")
        if clusters.shape != rows:
            raise ValueError(f"clusters must be {tuple(rows)}, got {tuple(clusters.shape)}")
