"""DGCNN, the dynamic graph network for whole shapes."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._packed import pack
from pcclust.nn.cloud_pooling import CloudPooling
from pcclust.nn.edge_conv import EdgeConv
from pcclust.ops.knn import knn


class DGCNN(nn.Module):
    """EdgeConvs on graphs of neighbours in feature space, then a maximum and a mean of all points.

    The classification network of the paper, without its spatial transformer, as in the authors'
    PyTorch code: the first graph joins points in space, every later one features; a point is its
    own first neighbour; the outputs of all EdgeConvs together are mapped to ``embedding`` channels
    and pooled. Edges are never stored (see `EdgeConv`).

    Args:
        k: neighbours of each point, itself included.
        channels: the output of each EdgeConv.
        embedding: channels that are pooled.
        negative_slope: of the LeakyReLUs.

    Attributes:
        out_channels: twice ``embedding``.

    Source: Wang et al., "Dynamic Graph CNN for Learning on Point Clouds" (2019), section 4.1.

    Example:
        >>> import torch
        >>> from pcclust.nn import DGCNN
        >>> DGCNN()(torch.rand(2, 100, 3)).shape
        torch.Size([2, 2048])
    """

    def __init__(
        self,
        k: int = 20,
        channels: Sequence[int] = (64, 64, 128, 256),
        embedding: int = 1024,
        negative_slope: float = 0.2,
    ) -> None:
        super().__init__()
        self.k = k
        self.edge_convs = nn.ModuleList()
        width = 3
        for out in channels:
            self.edge_convs.append(EdgeConv(width, out, negative_slope=negative_slope))
            width = out
        self.pooling = CloudPooling(
            sum(channels), embedding, negative_slope=negative_slope, mean=True
        )
        self.out_channels = self.pooling.out_channels

    def forward(self, points: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Describes each cloud by one vector.

        Args:
            points: ``(B, N, 3)``, of the dtype of the weights.
            lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.

        Returns:
            ``(B, out_channels)``.

        Raises:
            TypeError: wrong type or dtype.
            ValueError: wrong shape, NaN or inf, bad lengths, or a cloud of fewer than ``k`` points.
        """
        clouds = pack(points, lengths)
        x, layers = clouds.rows, []
        for edge_conv in self.edge_convs:
            indices = knn(x.detach(), self.k, offsets=clouds.offsets).indices
            x = edge_conv(x, indices, offsets=clouds.offsets)
            layers.append(x)
        pooled: Tensor = self.pooling(torch.cat(layers, dim=1), clouds.sizes)
        return pooled
