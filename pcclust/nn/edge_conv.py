"""EdgeConv, the layer of DGCNN, in memory that does not grow with the number of neighbours."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pcclust.nn._batch_norm import running_statistics, scale_and_shift, update_running
from pcclust.nn._evaluation import folded, fuses
from pcclust.nn._linear import linear
from pcclust.ops._clouds import working_precision
from pcclust.ops._layouts import FLOATING, readable
from pcclust.ops.edge_layer import edge_layer
from pcclust.ops.edge_reduce import edge_reduce
from pcclust.ops.scaled_leaky import scaled_leaky


class EdgeConv(nn.Module):
    """Maps every point to the maximum over its neighbours of a layer on ``[x_i, x_j - x_i]``.

    The layer is linear without bias, BatchNorm over all edges, LeakyReLU. Since
    ``W [x_i, x_j - x_i] = (A - B) x_i + B x_j`` with ``W = [A, B]``, and what follows is monotone
    in each channel, it needs one matrix product on points instead of one on edges, and of the edges
    only a maximum and two sums: equal to the textbook layer to rounding, in O(N·C) memory.

    Statistics, running averages and the two modes are those of ``torch.nn.BatchNorm2d`` on the
    edges; set ``layer.norm.momentum`` or ``layer.norm.eps`` to change them.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        negative_slope: of the LeakyReLU.

    Attributes:
        linear: the weight ``(out_channels, 2 * in_channels)`` on ``[x_i, x_j - x_i]``.
        norm: the BatchNorm's parameters and running statistics.

    Source: Wang et al., "Dynamic Graph CNN for Learning on Point Clouds" (2019), eq. 7 and 8.

    Example:
        >>> import torch, pcclust
        >>> from pcclust.nn import EdgeConv
        >>> points = torch.rand(2, 100, 3)
        >>> layer = EdgeConv(3, 64)
        >>> layer(points, pcclust.knn(points, 20).indices).shape
        torch.Size([2, 100, 64])
    """

    def __init__(self, in_channels: int, out_channels: int, *, negative_slope: float = 0.2) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.negative_slope = negative_slope
        self.linear = nn.Linear(2 * in_channels, out_channels, bias=False)
        self.norm = nn.BatchNorm1d(out_channels)

    def forward(
        self,
        x: Tensor,
        indices: Tensor,
        *,
        lengths: Tensor | None = None,
        offsets: Tensor | None = None,
    ) -> Tensor:
        """Applies the layer.

        Args:
            x: ``(N, C)``, ``(B, N, C)`` or, with ``offsets``, ``(ΣN, C)`` features, float32 or
                float64; float16 and bfloat16 are reduced in float32.
            indices: ``(..., N, k)`` integers, each point's neighbours as `knn` returns them:
                positions in its cloud, or with ``offsets`` rows of ``x``.
            lengths: ``(B,)`` the points of each cloud of a padded batch. Padding takes no part in
                the statistics, and its output is 0.
            offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.

        Returns:
            ``(..., N, out_channels)``.

        Raises:
            TypeError: features that are not floating, or indices that are not integers.
            ValueError: wrong shapes, or a single edge to train on.
            RuntimeError: an index that is no point of its cloud.
        """
        graph = self._checked_graph(x, indices, lengths, offsets)
        if self.fuses([x]):
            rows = x.reshape(-1, self.in_channels)
            return self.evaluated([rows], *graph).view(*x.shape[:-1], self.out_channels)
        if lengths is not None:
            x = x.masked_fill(graph.padding(x), 0)
        projected, shift = self._project(x.reshape(-1, self.in_channels))
        edges = working_precision(projected).view(-1, 2, self.out_channels)
        sign = self.norm.weight.detach().sign().to(edges.dtype)
        maxima, sums = edge_reduce(edges, *graph, sign, self._batch_statistics, consume=True)
        scale, offset = (each.to(maxima) for each in self._scale_and_offset(sums, shift, graph))
        y = scaled_leaky(maxima, scale, offset, self.negative_slope).to(projected.dtype)
        y = y.view(*x.shape[:-1], self.out_channels)
        return y if lengths is None else y.masked_fill(graph.padding(y), 0)

    def fuses(self, parts: Sequence[Tensor]) -> bool:
        """Returns whether `evaluated` may be asked about such rows."""
        return not self._batch_statistics and fuses(self.norm, self.linear.weight, parts)

    def evaluated(
        self, parts: Sequence[Tensor], neighbors: Tensor, starts: Tensor, sizes: Tensor
    ) -> Tensor:
        """Applies the layer in evaluation, as one operator without gradient.

        Args:
            parts: matrices that have the ``in_channels`` of all rows side by side.
            neighbors: ``(ΣN, k)`` int64 positions in the cloud.
            starts: ``(B,)`` the first row of each cloud.
            sizes: ``(B,)`` its rows; others are padding, of which the output is 0.
        """
        weight = self.linear.weight
        scaled, shift = folded(weight, self.norm)
        a, b = scaled.chunk(2, dim=1)
        graph = (neighbors, starts, sizes)
        # Never in half precision: it would take from x_j - x_i what tells neighbours apart.
        layer = (torch.cat([a - b, b]), shift)
        return edge_layer(parts, *layer, *graph, self.negative_slope)

    @property
    def _batch_statistics(self) -> bool:
        return self.training or self.norm.running_mean is None

    def _checked_graph(
        self, x: Tensor, indices: Tensor, lengths: Tensor | None, offsets: Tensor | None
    ) -> "_Graph":
        """Checks the input and returns which rows are neighbours."""
        if x.dtype not in FLOATING:
            raise TypeError(f"x must be floating, got {x.dtype}; convert with .float()")
        if indices.is_floating_point() or indices.dtype == torch.bool:
            raise TypeError(f"indices must be integers, got {indices.dtype}")
        if x.dim() not in (2, 3) or x.shape[-1] != self.in_channels:
            raise ValueError(
                f"x must be (N, C) or (B, N, C) with C={self.in_channels}, got {tuple(x.shape)}"
            )
        if indices.shape[:-1] != x.shape[:-1] or indices.shape[-1] == 0:
            raise ValueError(
                f"indices must be {(*x.shape[:-1], 'k')} with k >= 1, got {tuple(indices.shape)}"
            )
        graph = _graph(x, indices, lengths, offsets)
        if self.training and lengths is None and indices.numel() == 1:
            raise ValueError("BatchNorm needs more than one edge to train on")
        return graph

    def _project(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Returns u and v of every row side by side, and what they lack per channel.

        Rows are centred first: far from the origin, u + v would cancel what tells edges apart.
        """
        a, b = self.linear.weight.chunk(2, dim=1)
        centre = rows.detach().mean(dim=0)
        projected = linear(rows - centre, torch.cat([a - b, b]))
        return projected, a.double() @ centre.double()

    def _scale_and_offset(
        self, sums: Tensor, shift: Tensor, graph: "_Graph"
    ) -> tuple[Tensor, Tensor]:
        """Returns the BatchNorm as one multiplication and addition, in float64."""
        norm = self.norm
        if self._batch_statistics:
            edges = graph.sizes.sum().double() * graph.neighbors.shape[1]
            mean, mean_square = sums / edges
            variance = (mean_square - mean.square()).clamp(min=0)
            if self.training:
                update_running(norm, mean + shift, variance, edges)
        else:
            mean, variance = running_statistics(norm)
            mean = mean - shift
        return scale_and_shift(norm, mean, variance)


class _Graph(NamedTuple):
    """Neighbours as positions in clouds, and the clouds as runs of rows."""

    neighbors: Tensor
    starts: Tensor
    sizes: Tensor

    def padding(self, x: Tensor) -> Tensor:
        """Returns ``(B, N, 1)``, true where a row of ``x`` belongs to no cloud."""
        column = torch.arange(x.shape[-2], device=x.device)
        return (column >= self.sizes[:, None])[..., None]


def _graph(x: Tensor, indices: Tensor, lengths: Tensor | None, offsets: Tensor | None) -> _Graph:
    """Returns the neighbours and clouds of rows in any layout."""
    k = indices.shape[-1]
    indices = indices.long()
    if offsets is not None:
        return _packed_graph(x, indices, lengths, offsets)
    count = x.shape[-2]
    starts = torch.arange(1 if x.dim() == 2 else x.shape[0], device=x.device) * count
    sizes = torch.full_like(starts, count) if lengths is None else lengths.to(starts)
    if sizes.shape != starts.shape:
        raise ValueError(f"lengths must be {tuple(starts.shape)}, got {tuple(sizes.shape)}")
    return _Graph(indices.reshape(-1, k).contiguous(), starts, sizes)


def _packed_graph(x: Tensor, indices: Tensor, lengths: Tensor | None, offsets: Tensor) -> _Graph:
    if lengths is not None:
        raise ValueError("give lengths (padded) or offsets (packed), not both")
    if x.dim() != 2 or offsets.dim() != 1 or offsets.numel() < 2:
        raise ValueError(
            f"offsets must be (B + 1,) and x (ΣN, C), got {tuple(offsets.shape)} and "
            f"{tuple(x.shape)}"
        )
    starts, sizes = offsets[:-1].long(), offsets.diff().long()
    if readable(sizes) and (int(offsets[0]), int(offsets[-1])) != (0, x.shape[0]):
        raise ValueError(
            f"offsets must go from 0 to the {x.shape[0]} rows of x, got {int(offsets[0])} to "
            f"{int(offsets[-1])}"
        )
    first = starts.repeat_interleave(sizes, output_size=x.shape[0])
    return _Graph(indices - first[:, None], starts, sizes)
