"""The last layer of a backbone: every point is mapped, then each cloud becomes one vector."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._evaluation import folded, fuses, halved, segments
from pcclust.nn._linear import linear
from pcclust.nn._norm_pool import normalize_and_pool, normalize_and_pool_alike
from pcclust.nn._packed import Sizes, Uniform
from pcclust.ops.linear_pool import linear_pool


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

    def forward(self, x: Tensor | Sequence[Tensor], sizes: Sizes) -> Tensor:
        """Maps and pools.

        Args:
            x: ``(ΣN, in_channels)`` the points of all clouds, one cloud after the other; or several
                matrices that have these channels side by side.
            sizes: the points of each cloud.

        Returns:
            ``(B, out_channels)``.
        """
        parts, weight = [x] if isinstance(x, Tensor) else list(x), self.linear.weight
        if fuses(self.norm, weight, parts):
            clouds, layer = segments(sizes, weight.device), folded(weight, self.norm)
            pooled = linear_pool(parts, *layer, clouds, self.negative_slope, halved(weight))
            return torch.cat(pooled, dim=1) if self.mean else pooled[0]
        z = linear(torch.cat(parts, dim=1) if len(parts) > 1 else parts[0], weight)
        if isinstance(sizes, Uniform):
            pooled = normalize_and_pool_alike(z, self.norm, sizes, self.negative_slope)
        else:
            clouds = segments(sizes, z.device)
            pooled = normalize_and_pool(z, self.norm, clouds, self.negative_slope)
        return torch.cat(pooled, dim=1) if self.mean else pooled[0]
