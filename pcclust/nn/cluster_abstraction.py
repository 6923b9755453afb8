"""Cluster abstraction, the pooling layer of ClusterNet."""

from torch import Tensor, nn

from pcclust.nn.shared_mlp import shared_mlp


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
        self.layer = shared_mlp([in_channels, out_channels], negative_slope=negative_slope)

    def forward(self, x: Tensor, clusters: Tensor, num_clusters: int) -> Tensor:
        """Pools.

        Args:
            x: ``(R, in_channels)`` members of all clusters.
            clusters: ``(R,)`` int64, the cluster of each, from 0; every cluster has a member.
            num_clusters: how many clusters.

        Returns:
            ``(num_clusters, out_channels)``.

        Raises:
            ValueError: wrong shapes.
        """
        if x.dim() != 2 or x.shape[1] != self.in_channels:
            raise ValueError(f"x must be (R, {self.in_channels}), got {tuple(x.shape)}")
        if clusters.shape != x.shape[:1]:
            raise ValueError(f"clusters must be {tuple(x.shape[:1])}, got {tuple(clusters.shape)}")
        y: Tensor = self.layer(x)
        pooled = y.new_zeros(num_clusters, self.out_channels)
        owners = clusters[:, None].expand_as(y)
        return pooled.scatter_reduce(0, owners, y, reduce="amax", include_self=False)
