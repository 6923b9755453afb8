"""DGCNN, the dynamic graph network for whole shapes."""

from collections.abc import Sequence

from torch import Tensor, nn

from pcclust.nn._packed import Packed, count_clouds, pack
from pcclust.nn.cloud_pooling import CloudPooling
from pcclust.nn.edge_conv import EdgeConv
from pcclust.nn.pointnet import TransformNet
from pcclust.ops.knn import knn


class DGCNN(nn.Module):
    """EdgeConvs on graphs of neighbours in feature space, then a maximum and a mean of all points.

    The classification network of the paper, by default without its spatial transformer, as in the
    authors' PyTorch code: the first graph joins points in space, every later one features; a point
    is its own first neighbour; the outputs of all EdgeConvs together are mapped to ``embedding``
    channels and pooled. Edges are never stored (see `EdgeConv`).

    The authors' TensorFlow code has the transformer and pools by the maximum alone. Its transformer
    maps edges by two layers before their maximum; ours has one layer before it and one after.

    Args:
        k: neighbours of each point, itself included.
        channels: the output of each EdgeConv.
        embedding: channels that are pooled.
        negative_slope: of the LeakyReLUs.
        mean: whether the mean over each cloud follows the maximum.
        input_transform: whether a T-Net on the first graph transforms the points by a 3×3 matrix.

    Attributes:
        out_channels: ``embedding``, twice as many with ``mean``.

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
        mean: bool = True,
        input_transform: bool = False,
    ) -> None:
        super().__init__()
        self.k = k
        self.input_edges = EdgeConv(3, 64, negative_slope=0.0) if input_transform else None
        self.input_transform = TransformNet(3, [64, 128]) if input_transform else None
        self.edge_convs = nn.ModuleList()
        width = 3
        for out in channels:
            self.edge_convs.append(EdgeConv(width, out, negative_slope=negative_slope))
            width = out
        self.pooling = CloudPooling(
            sum(channels), embedding, negative_slope=negative_slope, mean=mean
        )
        self.out_channels = self.pooling.out_channels

    def forward(self, points: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Describes each cloud by one vector.

        Args:
            points: ``(B, N, 3)``.
            lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.

        Returns:
            ``(B, out_channels)`` of the dtype of the weights.

        Raises:
            TypeError: wrong type or dtype.
            ValueError: wrong shape, NaN or inf, bad lengths, or a cloud of fewer than ``k`` points.
        """
        clouds = pack(points, lengths)
        if count_clouds(clouds.sizes) == 0:
            return self.pooling.norm.weight.new_zeros(0, self.out_channels)
        x, layers = clouds.rows, []  # half precision is float32 here, for the first graph
        if self.input_edges is not None and self.input_transform is not None:
            described = self._convolve(self.input_edges, x, clouds)
            x = self.input_transform(x.to(described), clouds.sizes, described)
        for edge_conv in self.edge_convs:
            x = self._convolve(edge_conv, x, clouds)
            layers.append(x)
        pooled: Tensor = self.pooling(layers, clouds.sizes)
        return pooled

    def _convolve(self, edge_conv: nn.Module, x: Tensor, clouds: Packed) -> Tensor:
        """Applies an EdgeConv on the graph of neighbours of ``x``."""
        indices = knn(x.detach(), self.k, offsets=clouds.offsets).indices
        y: Tensor = edge_conv(x.to(self.pooling.norm.weight), indices, offsets=clouds.offsets)
        return y
