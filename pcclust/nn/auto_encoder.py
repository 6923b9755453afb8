"""An auto-encoder of point clouds: a backbone, a narrow embedding and a decoder to points."""

from typing import Any

from torch import Tensor, nn


class PointDecoder(nn.Sequential):
    """Makes a cloud of a fixed number of points from a vector, by three linear layers.

    Args:
        in_channels: of the vector.
        num_points: of the cloud.
        hidden: channels of the two layers between.

    Source: the fully connected decoder of Achlioptas et al., "Learning Representations and
    Generative Models for 3D Point Clouds" (2018); the widths are our choice.

    Example:
        >>> import torch
        >>> from pcclust.nn.auto_encoder import PointDecoder
        >>> PointDecoder(10, 64)(torch.rand(2, 10)).shape
        torch.Size([2, 64, 3])
    """

    def __init__(
        self, in_channels: int, num_points: int, hidden: tuple[int, int] = (256, 512)
    ) -> None:
        first, second = hidden
        super().__init__(
            nn.Linear(in_channels, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, 3 * num_points),
            nn.Unflatten(1, (num_points, 3)),
        )


class Embedded(nn.Module):
    """Embeds features in few numbers, and decodes clouds from these.

    Args:
        width: channels C of the features.
        latent: numbers of the embedding.
        num_points: of the decoded clouds.
    """

    def __init__(self, width: int, latent: int, num_points: int) -> None:
        super().__init__()
        self.embedding = nn.Linear(width, latent)
        self.decoder = PointDecoder(latent, num_points)
        self.width, self.latent, self.num_points = width, latent, num_points

    def forward(self, features: Tensor) -> Tensor:
        """Returns clouds ``(B, num_points, 3)`` decoded from features ``(B, C)``."""
        decoded: Tensor = self.decoder(self.embedding(features))
        return decoded


class AutoEncoder(nn.Module):
    """Describes clouds by few numbers, and makes clouds of them again.

    Args:
        backbone: maps ``(B, N, 3)`` to ``(B, C)``.
        head: embeds and decodes features.

    Attributes:
        backbone: as given.
        head: as given.
        out_channels: C.

    Example:
        >>> import torch
        >>> from pcclust.nn import AutoEncoder, PointNet
        >>> from pcclust.nn.auto_encoder import Embedded
        >>> backbone = PointNet()
        >>> model = AutoEncoder(backbone, Embedded(backbone.out_channels, 10, 64)).eval()
        >>> model(torch.rand(2, 100, 3)).shape, model.embed(torch.rand(2, 100, 3)).shape
        (torch.Size([2, 64, 3]), torch.Size([2, 10]))
    """

    def __init__(self, backbone: nn.Module, head: Embedded) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.out_channels = head.width

    def embed(self, points: Tensor) -> Tensor:
        """Returns embeddings ``(B, latent)`` of clouds ``(B, N, 3)``."""
        embedded: Tensor = self.head.embedding(self.backbone(points))
        return embedded

    def forward(self, points: Tensor) -> Tensor:
        """Returns clouds ``(B, num_points, 3)`` decoded from those given ``(B, N, 3)``."""
        decoded: Tensor = self.head(self.backbone(points))
        return decoded

    def card(self) -> dict[str, Any]:
        """Returns what the card of saved weights says of embedding and decoder."""
        head = self.head
        settings = {"width": head.width, "latent": head.latent, "num_points": head.num_points}
        return {"task": "reconstruction", "decoder": settings}
