"""The layers at one level of ClusterNet."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._cluster_geometry import Nodes
from pcclust.nn._packed import cloud_of_rows
from pcclust.nn.edge_conv import EdgeConv
from pcclust.nn.rri_module import RRIModule


class ClusterLevel(nn.Module):
    """The layers at one level of `ClusterNet`, for points or clusters alike.

    Args:
        in_channels: channels that come from the level before, 0 for points.
        channels: the output of each EdgeConv.
        wide: whether there is a second RRI module, of wider neighbourhoods.
        rri_channels: channels of an RRI module.
        negative_slope: of the LeakyReLUs.

    Attributes:
        out_channels: channels of the input, the RRI module and the EdgeConvs together.
    """

    def __init__(
        self,
        in_channels: int,
        channels: Sequence[int],
        *,
        wide: bool = False,
        rri_channels: int = 64,
        negative_slope: float,
    ) -> None:
        super().__init__()
        self.rri_module = RRIModule(rri_channels, negative_slope=negative_slope)
        self.wide_module = RRIModule(rri_channels, negative_slope=negative_slope) if wide else None
        self.edge_convs = nn.ModuleList()
        width = in_channels + rri_channels * (2 if wide else 1)
        self.out_channels = width + sum(channels)
        for out in channels:
            self.edge_convs.append(EdgeConv(width, out, negative_slope=negative_slope))
            width = out

    def describe(self, rri: Tensor, wide_rri: Tensor | None = None) -> list[Tensor]:
        """Describes nodes by their neighbourhoods alone, which is the same in every pose.

        Args:
            rri: ``(M, k, 4)`` features of the positions of the nodes.
            wide_rri: ``(M, k', 4)`` of wider neighbourhoods, where the level has a module for them.

        Returns:
            ``(M, rri_channels)`` of each module.
        """
        described = [self.rri_module(rri)]
        if self.wide_module is not None:
            described.append(self.wide_module(wide_rri))
        return described

    def forward(
        self, x: Tensor | None, described: list[Tensor], neighbors: Tensor, nodes: Nodes
    ) -> list[Tensor]:
        """Maps the nodes of one level.

        Args:
            x: ``(M, in_channels)`` features from the level before, or None.
            described: what `describe` returns.
            neighbors: ``(M, k)`` the neighbours, as positions in the cloud.
            nodes: which nodes make up each cloud.

        Returns:
            Matrices that have ``(M, out_channels)`` side by side; one where gradients are wanted.
        """
        outputs = described if x is None else [x, *described]
        if all(edge_conv.fuses(outputs) for edge_conv in self._edge_convs()):
            return self._evaluated(outputs, neighbors, nodes)
        y = torch.cat(outputs, dim=1)
        outputs = [y]
        first = nodes.offsets[:-1][cloud_of_rows(nodes.sizes, y.device)]
        rows = neighbors + first[:, None]
        for edge_conv in self.edge_convs:
            y = edge_conv(y, rows, offsets=nodes.offsets)
            outputs.append(y)
        return [torch.cat(outputs, dim=1)]

    def _edge_convs(self) -> list[EdgeConv]:
        return [layer for layer in self.edge_convs if isinstance(layer, EdgeConv)]

    def _evaluated(self, parts: list[Tensor], neighbors: Tensor, nodes: Nodes) -> list[Tensor]:
        starts, sizes = nodes.offsets[:-1], nodes.offsets.diff()
        outputs, given = list(parts), parts
        for edge_conv in self._edge_convs():
            given = [edge_conv.evaluated(given, neighbors, starts, sizes)]
            outputs += given
        return outputs
