"""An encoder and a head that says which cluster each shape belongs to."""

from typing import Any

import torch
from torch import Tensor, nn

from pcclust.nn.auto_encoder import AutoEncoder
from pcclust.nn.classifier import Classifier
from pcclust.nn.cluster_head import ClusterHead


class Clusterer(nn.Module):
    """What a deep-clustering method has learned: features of shapes, and their clusters.

    Args:
        backbone: maps ``(B, N, 3)`` to ``(B, C)``; or `GivenFeatures`.
        head: maps ``(B, C)`` to scores ``(B, K)``.

    Attributes:
        backbone: as given.
        head: as given.
        num_clusters: K.
        out_channels: C.

    Example:
        >>> import torch
        >>> from pcclust.nn import PointNet
        >>> from pcclust.nn.cluster_heads import LinearHead
        >>> backbone = PointNet()
        >>> model = Clusterer(backbone, LinearHead(backbone.out_channels, 10)).eval()
        >>> model.assign(torch.rand(2, 100, 3)).shape
        torch.Size([2, 10])
    """

    def __init__(self, backbone: nn.Module, head: ClusterHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.num_clusters = head.num_clusters
        self.out_channels = head.width

    def forward(self, points: Tensor, lengths: Tensor | None = None, **extras: Tensor) -> Tensor:
        """Returns scores ``(B, K)`` of clouds ``(B, N, 3)``, the logarithms of `assign` but one."""
        if lengths is not None:
            extras["lengths"] = lengths
        scores: Tensor = self.head(self.backbone(points, **extras))
        return scores

    @torch.no_grad()
    def assign(self, points: Tensor, lengths: Tensor | None = None, **extras: Tensor) -> Tensor:
        """Says how likely each cloud belongs to each cluster.

        Args:
            points: ``(B, N, 3)``, centred and scaled as in the training; see the card.
            lengths: ``(B,)`` the points of each cloud of a padded batch.
            **extras: what else the backbone takes.

        Returns:
            ``(B, K)`` float32, rows summing to 1; ``argmax(dim=1)`` are the clusters.
        """
        scores: Tensor = self(points, lengths, **extras)
        return scores.float().softmax(dim=1)

    def card(self) -> dict[str, Any]:
        """Returns what the card of saved weights says of the head."""
        return {"task": "clusters", "num_clusters": self.num_clusters, "head": self.head.card()}


def backbone_of(model: nn.Module) -> nn.Module:
    """Returns what makes features: of a classifier and its like the backbone, else the model."""
    return model.backbone if isinstance(model, AutoEncoder | Classifier | Clusterer) else model


def encoder_of_shapes(model: nn.Module, what: str) -> nn.Module:
    """Returns what makes features of shapes.

    Args:
        model: a backbone, or what has one.
        what: the model's name, for the message.

    Raises:
        ValueError: a model that was trained on features, and has none.
    """
    backbone = backbone_of(model)
    if isinstance(backbone, GivenFeatures):
        raise ValueError(
            f"{what} was trained on features and has no encoder of shapes: give a file of such "
            "features, or the weights that made them"
        )
    return backbone


class GivenFeatures(nn.Module):
    """Takes features for what they are, where an encoder would make them of points.

    Args:
        out_channels: C.
    """

    def __init__(self, out_channels: int) -> None:
        super().__init__()
        self.out_channels = out_channels

    def forward(self, features: Tensor) -> Tensor:
        """Returns features ``(B, C)`` as they are.

        Raises:
            ValueError: another shape, e.g. that of points.
        """
        if features.dim() != 2 or features.shape[1] != self.out_channels:
            raise ValueError(
                f"this model takes features (B, {self.out_channels}), as it was trained on them, "
                f"got {tuple(features.shape)}"
            )
        return features
