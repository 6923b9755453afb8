"""Layers that map every point by the same function."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pcclust.nn._linear import linear


def shared_mlp(channels: Sequence[int], *, negative_slope: float = 0.0) -> nn.Sequential:
    """Builds linear layers, each followed by BatchNorm and a (leaky) ReLU, for rows of points.

    Args:
        channels: of the input and of the output of each layer.
        negative_slope: of the LeakyReLU; 0 is a ReLU.

    Returns:
        A module from ``(R, channels[0])`` to ``(R, channels[-1])``.

    Example:
        >>> import torch
        >>> from pcclust.nn.shared_mlp import shared_mlp
        >>> shared_mlp([3, 64, 128])(torch.rand(100, 3)).shape
        torch.Size([100, 128])
    """
    layers: list[nn.Module] = []
    for width, out in pairwise(channels):
        # BatchNorm takes away any constant, so a bias would never learn anything.
        layers += [RowLinear(width, out, bias=False), nn.BatchNorm1d(out)]
        layers.append(nn.LeakyReLU(negative_slope, inplace=True))
    return nn.Sequential(*layers)


class RowLinear(nn.Linear):
    """``torch.nn.Linear`` for the many rows of points."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(R, in_features)`` to ``(R, out_features)``."""
        return linear(x, self.weight, self.bias)
