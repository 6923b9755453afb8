"""PointNet, the network that sees each point alone and then their maximum."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._batch_norm import check_batch
from pcclust.nn._packed import Sizes, Uniform, count_clouds, pack
from pcclust.nn.cloud_pooling import CloudPooling
from pcclust.nn.shared_mlp import shared_mlp


class PointNet(nn.Module):
    """Maps every point by a shared MLP (64, 64, 64, 128, 1024) and takes the maximum of each cloud.

    The paper's network for whole shapes. Its two transformers (T-Nets) are options. By default
    the points are transformed and the features are not: a transformer of features helps only
    with a penalty that keeps it near orthogonal, which a training with cross-entropy alone
    lacks, and costs as much as the rest of the network.

    Args:
        input_transform: whether a T-Net transforms the points by a 3×3 matrix.
        feature_transform: whether a T-Net transforms the features by a 64×64 matrix.
        embedding: channels that are pooled.

    Attributes:
        out_channels: ``embedding``.

    Source: Qi et al., "PointNet: Deep Learning on Point Sets for 3D Classification and
    Segmentation" (2017), figure 2 and appendix C.

    Example:
        >>> import torch
        >>> from pcclust.nn import PointNet
        >>> PointNet()(torch.rand(2, 100, 3)).shape
        torch.Size([2, 1024])
    """

    def __init__(
        self, input_transform: bool = True, feature_transform: bool = False, embedding: int = 1024
    ) -> None:
        super().__init__()
        self.out_channels = embedding
        self.input_transform = TransformNet(3) if input_transform else None
        self.first = shared_mlp([3, 64, 64])
        self.feature_transform = TransformNet(64) if feature_transform else None
        self.second = shared_mlp([64, 64, 128])
        self.pooling = CloudPooling(128, embedding)

    def forward(self, points: Tensor, *, lengths: Tensor | None = None) -> Tensor:
        """Describes each cloud by one vector.

        Args:
            points: ``(B, N, 3)``.
            lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.

        Returns:
            ``(B, out_channels)`` of the dtype of the weights.

        Raises:
            TypeError: wrong type or dtype.
            ValueError: wrong shape, NaN or inf, bad lengths, or a single cloud to train on.
        """
        clouds = pack(points, lengths)
        if count_clouds(clouds.sizes) == 0:
            return self.pooling.norm.weight.new_zeros(0, self.out_channels)
        x = clouds.rows.to(self.pooling.norm.weight.dtype)
        if self.input_transform is not None:
            x = self.input_transform(x, clouds.sizes)
        x = self.first(x)
        if self.feature_transform is not None:
            x = self.feature_transform(x, clouds.sizes)
        pooled: Tensor = self.pooling(self.second(x), clouds.sizes)
        return pooled


class TransformNet(nn.Module):
    """PointNet's T-Net: predicts one square matrix for each cloud and multiplies its rows by it.

    It begins at the identity.

    Args:
        channels: of the rows.
        layers: channels of what the matrix is predicted from, and of the layers that map it before
            it is pooled; by default of the rows themselves, 64 and 128.
    """

    def __init__(self, channels: int, layers: Sequence[int] | None = None) -> None:
        super().__init__()
        self.channels = channels
        self.points = shared_mlp(layers or [channels, 64, 128])
        self.pooling = CloudPooling(128, 1024)
        self.hidden = shared_mlp([1024, 512, 256])
        self.matrix = nn.Linear(256, channels * channels)
        nn.init.zeros_(self.matrix.weight)
        with torch.no_grad():
            self.matrix.bias.copy_(torch.eye(channels).flatten())

    def forward(self, x: Tensor, sizes: Sizes, features: Tensor | None = None) -> Tensor:
        """Transforms ``(ΣN, channels)`` rows of clouds with these sizes, as features of them say.

        Args:
            x: the rows.
            sizes: the rows of each cloud.
            features: ``(ΣN, layers[0])``; the rows themselves if None.
        """
        check_batch(self, count_clouds(sizes))
        pooled = self.pooling(self.points(x if features is None else features), sizes)
        matrices = self.matrix(self.hidden(pooled)).view(-1, self.channels, self.channels)
        if isinstance(sizes, Uniform):
            return torch.bmm(x.view(*sizes, self.channels), matrices).view(-1, self.channels)
        clouds = zip(x.split_with_sizes(sizes), matrices, strict=True)
        return torch.cat([rows @ matrix for rows, matrix in clouds])
