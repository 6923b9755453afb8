"""Layers that map every point by the same function."""

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from pcclust.nn._evaluation import folded, fuses, halved
from pcclust.nn._linear import linear
from pcclust.ops.row_layer import row_layer


def shared_mlp(channels: Sequence[int], *, negative_slope: float = 0.0) -> "SharedMLP":
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
    return SharedMLP(*layers)


class SharedMLP(nn.Sequential):
    """Linear layers, each followed by BatchNorm and a LeakyReLU; `shared_mlp` builds it."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(R, …)`` rows."""
        for number in range(len(self) // 3):
            weight, norm = self.weight_and_norm(number)
            linear_layer, activation = self[3 * number], self[3 * number + 2]
            if fuses(norm, weight, [x]):
                assert isinstance(activation, nn.LeakyReLU)
                slope = activation.negative_slope
                x = row_layer([x], *folded(weight, norm), slope, halved(weight))
            else:
                x = activation(norm(linear_layer(x)))
        return x

    def weight_and_norm(self, number: int) -> tuple[Tensor, nn.BatchNorm1d]:
        """Returns the weight of a linear layer and the BatchNorm after it."""
        linear_layer, norm = self[3 * number], self[3 * number + 1]
        assert isinstance(linear_layer, nn.Linear)
        assert isinstance(norm, nn.BatchNorm1d)
        return linear_layer.weight, norm


class RowLinear(nn.Linear):
    """``torch.nn.Linear`` for the many rows of points."""

    def forward(self, x: Tensor) -> Tensor:
        """Maps ``(R, in_features)`` to ``(R, out_features)``."""
        return linear(x, self.weight, self.bias)
