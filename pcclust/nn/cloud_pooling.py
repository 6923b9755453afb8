"""The last layer of a backbone: every point is mapped, then each cloud becomes one vector."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class CloudPooling(nn.Module):
    """Maps every point by a linear layer, BatchNorm and LeakyReLU, then pools over each cloud.

    Args:
        in_channels: channels of the points.
        channels: channels of the layer.
        negative_slope: of the LeakyReLU; 0 is a ReLU.
        mean: whether the mean over each cloud follows the maximum.

    Attributes:
        out_channels: ``channels``, twice as many with ``mean``.

    Example:
        >>> import torch
        >>> from pcclust.nn.cloud_pooling import CloudPooling
        >>> CloudPooling(64, 1024, mean=True)(torch.rand(300, 64), [100, 200]).shape
        torch.Size([2, 2048])
    """

    def __init__(
        self, in_channels: int, channels: int, *, negative_slope: float = 0.0, mean: bool = False
    ) -> None:
        super().__init__()
        self.negative_slope = negative_slope
        self.mean = mean
        self.out_channels = 2 * channels if mean else channels
        self.linear = nn.Linear(in_channels, channels, bias=False)
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor, sizes: list[int]) -> Tensor:
        """Maps and pools.

        Args:
            x: ``(ΣN, in_channels)`` the points of all clouds, one cloud after the other.
            sizes: the points of each cloud.

        Returns:
            ``(B, out_channels)``.
        """
        y = F.leaky_relu(self.norm(self.linear(x)), self.negative_slope, inplace=True)
        clouds = y.split_with_sizes(sizes)
        pooled = torch.stack([cloud.amax(dim=0) for cloud in clouds])
        if not self.mean:
            return pooled
        means = torch.stack([cloud.mean(dim=0) for cloud in clouds])
        return torch.cat([pooled, means], dim=1)
