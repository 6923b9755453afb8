"""The last layer of a backbone: every point is mapped, then each cloud becomes one vector."""

import torch
from torch import Tensor, nn

from pcclust.nn._batch_norm import running_statistics, scale_and_shift, update_running
from pcclust.nn._linear import linear
from pcclust.nn._norm_pool import activate_and_pool, channel_sums
from pcclust.nn._packed import Sizes


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

    def forward(self, x: Tensor, sizes: Sizes) -> Tensor:
        """Maps and pools.

        Args:
            x: ``(ΣN, in_channels)`` the points of all clouds, one cloud after the other.
            sizes: the points of each cloud.

        Returns:
            ``(B, out_channels)``.
        """
        z = linear(x, self.linear.weight)
        scale, shift = self._scale_and_shift(z, sizes)
        maxima, means = activate_and_pool(z, scale, shift, sizes, self.negative_slope)
        return torch.cat([maxima, means], dim=1) if self.mean else maxima

    def _scale_and_shift(self, z: Tensor, sizes: Sizes) -> tuple[Tensor, Tensor]:
        """Returns the BatchNorm as one multiplication and addition."""
        if self.training:
            total, squares = channel_sums(z, sizes)
            mean = total / z.shape[0]
            variance = (squares / z.shape[0] - mean.square()).clamp(min=0)
            update_running(self.norm, mean, variance, z.shape[0])
        else:
            mean, variance = running_statistics(self.norm)
        scale, shift = scale_and_shift(self.norm, mean, variance)
        return scale.to(z), shift.to(z)
