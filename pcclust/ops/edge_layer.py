"""An EdgeConv whose BatchNorm is part of its weights, in one pass over each cloud.

In evaluation ``leaky_relu(scale * (u_i + v_j) + shift)`` is a LeakyReLU of one linear layer's u and
v, and the LeakyReLU of the largest v of the neighbours is all that is wanted. So a cloud's u and v
stay in the cache, and its neighbours' are never held.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_matrix, require
from pcclust.ops._clouds import Clouds, cloud_of_rows
from pcclust.ops._registry import call, declare
from pcclust.ops._row_parts import check_layer, product
from pcclust.ops.edge_reduce import neighbor_table


def edge_layer(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    neighbors: Tensor,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> Tensor:
    """Returns ``leaky_relu(u_i + max_j v_j + bias)`` of each row i and its neighbours j.

    ``[u, v] = weight x``. Rows are taken from their cloud's mean before they are multiplied, since
    far from the origin u + v would cancel what tells them apart.

    Args:
        parts: ``(R, …)`` each, float32 or float64: a row x is what they hold side by side.
        weight: ``(2C, D)``, D the columns of all parts: of u, then of v.
        bias: ``(C,)``.
        neighbors: ``(R, k)`` int64 positions in the cloud.
        starts: ``(B,)`` int64, the first row of each cloud; other rows are padding.
        sizes: ``(B,)`` int64, the rows of each cloud.
        slope: of the LeakyReLU, finite and not negative; 0 for a ReLU.

    Returns:
        ``(R, C)``, 0 on padding. Not differentiable.
    """
    given = [part.contiguous() for part in parts]
    layer = (weight.contiguous(), bias.contiguous())
    out: Tensor = call("edge_layer", given, *layer, neighbors, starts, sizes, slope)
    return out


def _edge_layer_torch(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    neighbors: Tensor,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> Tensor:
    check_matrix(bias, "bias", (None,))
    check_layer(parts, weight, bias, slope, half=False, outputs=2 * len(bias))
    require(parts[0].shape[0] == neighbors.shape[0], "as many neighbors as rows are needed")
    rows, inside = neighbor_table(neighbors, starts, sizes)
    x = torch.where(inside, torch.cat(list(parts), dim=1), 0)
    cloud = cloud_of_rows(Clouds(neighbors, starts, sizes, (), False, None))
    cloud = torch.where(cloud >= 0, cloud, len(starts))  # padding has one of its own, of zeros
    sums = x.new_zeros(len(starts) + 1, x.shape[1], dtype=torch.float64)
    counts = torch.cat([sizes.clamp(min=1), sizes.new_ones(1)])[:, None]
    centers = (sums.index_add_(0, cloud, x.double()) / counts).to(x)
    of_u, of_v = weight.double().chunk(2)
    shift = F.linear(centers.double(), of_u + of_v).to(x)
    u, v = product(x - centers[cloud], weight, half=False).chunk(2, dim=1)
    largest = v[rows[:, 0]]
    for j in range(1, neighbors.shape[1]):
        largest = torch.maximum(largest, v[rows[:, j]])
    y = F.leaky_relu(u + bias + shift[cloud] + largest, slope)
    return torch.where(inside, y, 0)


def _edge_layer_fake(
    parts: Sequence[Tensor],
    weight: Tensor,
    bias: Tensor,
    neighbors: Tensor,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> Tensor:
    return bias.new_empty((parts[0].shape[0], bias.shape[0]))


declare(
    "edge_layer(Tensor[] parts, Tensor weight, Tensor bias, Tensor neighbors, Tensor starts, "
    "Tensor sizes, float slope) -> Tensor",
    _edge_layer_torch,
    _edge_layer_fake,
)
