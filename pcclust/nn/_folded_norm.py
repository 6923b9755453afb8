"""BatchNorm folded into the linear layer before it, from the moments of the layer's input.

The output W x of a linear layer has mean W m and variance diag(W S Wᵀ), with m and S the mean and
the covariance of x. So where x is narrow and has many rows, BatchNorm costs a product of x with
itself and no pass over the output: what is left is one linear layer with weight and bias.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcclust.nn._batch_norm import running_statistics, update_running


class Moments(NamedTuple):
    """Sums over rows, in float64.

    Attributes:
        total: ``(C,)`` the sum of the rows.
        products: ``(C, C)`` the sum of the products of each pair of channels.
        rows: how many.
    """

    total: Tensor
    products: Tensor
    rows: int

    def of_outputs(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Returns mean and (biased) variance of each output of a linear layer on these rows."""
        mean = self.total / self.rows
        covariance = self.products / self.rows - torch.outer(mean, mean)
        variance = ((weight @ covariance) * weight).sum(dim=1).clamp(min=0)
        return weight @ mean + bias, variance


def fold(
    weight: Tensor, bias: Tensor, norm: nn.BatchNorm1d, seen: Moments | None
) -> tuple[Tensor, Tensor]:
    """Returns weight and bias, in float64, of a linear layer and the BatchNorm after it as one.

    Args:
        weight: ``(out, in)`` float64.
        bias: ``(out,)`` float64.
        norm: its running statistics are moved as it would itself where moments are given.
        seen: the moments of the layer's input; None uses the running statistics.
    """
    if seen is None:
        mean, variance = running_statistics(norm)
    else:
        mean, variance = seen.of_outputs(weight, bias)
        update_running(norm, mean, variance, seen.rows)
    scale = (variance + norm.eps).rsqrt()
    shift = -mean * scale
    if norm.affine:
        scale, shift = scale * norm.weight, shift * norm.weight + norm.bias
    return scale[:, None] * weight, scale * bias + shift
