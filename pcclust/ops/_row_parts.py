"""Layers on rows that lie in several tensors side by side, as the twins compute them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_dense, check_matrix, check_slope, require


def check_layer(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    slope: float,
    half: bool,
    outputs: int | None = None,
) -> None:
    """Raises unless these are a layer of so many outputs, with as many biases by default."""
    require(len(parts) > 0, "parts must hold a tensor at least")
    check_matrix(bias, "bias", (None,))
    check_dense([*parts, bias])
    for part in parts:
        check_matrix(part, "parts", (parts[0].shape[0], None), bias.dtype)
    inputs = sum(part.shape[1] for part in parts)
    check_matrix(weight, "weight", (outputs or len(bias), inputs), bias.dtype)
    check_slope(slope)
    require(not half or bias.dtype == torch.float32, "products of bfloat16 need float32")


def product(rows: Tensor, weight: Tensor, half: bool) -> Tensor:
    """Returns ``rows @ weight.T``, with ``half`` of factors rounded to bfloat16."""
    if half:
        rows, weight = (factor.bfloat16().to(factor) for factor in (rows, weight))
    return F.linear(rows, weight)


def layer_of_parts(
    parts: Sequence[Tensor], weight: Tensor, bias: Tensor, slope: float, half: bool
) -> Tensor:
    """Returns ``leaky_relu(weight x + bias)`` for each row x."""
    rows = torch.cat(list(parts), dim=1)
    return F.leaky_relu(product(rows, weight, half) + bias, slope)
