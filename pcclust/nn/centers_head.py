"""Clusters as the nearest of centres that k-means has found."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.nn.cluster_head import ClusterHead, register_cluster_head


@register_cluster_head("centers")
class CentersHead(ClusterHead):
    """Nearness to centres, of features that are whitened and brought to length one.

    Nothing of it is learned by gradients: `set` takes what k-means has found. Scores are those of a
    mixture of equal, round normal distributions about the centres: ``-d² / (2 variance)``.

    Args:
        width: C.
        num_clusters: K.
        components: D of the whitened features; at most C.

    Example:
        >>> import torch
        >>> head = CentersHead(3, 2, components=2)
        >>> head.set(torch.zeros(3), torch.eye(3)[:2], torch.eye(2), 0.5)
        >>> head(torch.tensor([[9.0, 0, 1]])).round().tolist()
        [[-0.0, -2.0]]
    """

    mean: Tensor
    axes: Tensor
    centers: Tensor
    variance: Tensor

    def __init__(self, width: int, num_clusters: int, components: int) -> None:
        super().__init__(width, num_clusters, components=components)
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("axes", torch.zeros(components, width))
        self.register_buffer("centers", torch.zeros(num_clusters, components))
        self.register_buffer("variance", torch.ones(()))

    def set(self, mean: Tensor, axes: Tensor, centers: Tensor, variance: float) -> None:
        """Takes what was found.

        Args:
            mean: ``(C,)`` of the features.
            axes: ``(D, C)`` principal axes, each divided by its standard deviation; those that the
                features do not span are 0.
            centers: ``(K, D)``.
            variance: of the features about their centres, along each axis; above 0.
        """
        self.mean.copy_(mean)
        self.axes.copy_(axes)
        self.centers.copy_(centers)
        self.variance.fill_(max(variance, math.sqrt(torch.finfo(torch.float32).tiny)))

    def prepared(self, features: Tensor) -> Tensor:
        """Returns features ``(B, D)``, whitened and of length one; rows of zeros stay."""
        return F.normalize((features - self.mean) @ self.axes.T, dim=1)

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)``."""
        distances = torch.cdist(
            self.prepared(features), self.centers, compute_mode="donot_use_mm_for_euclid_dist"
        )
        return -distances.square() / (2 * self.variance)
