"""A small network from features to the space of an objective."""

from torch import Tensor, nn

from pcclust.nn._batch_norm import check_batch


class Projector(nn.Sequential):
    """Two linear layers with ReLU between them, as contrastive and predictive objectives use.

    Args:
        in_channels: of the features.
        hidden: channels between.
        out_channels: of the projection.
        norm: whether BatchNorm comes before the ReLU.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations"
    (2020), sec. 2.1; with BatchNorm Grill et al., "Bootstrap Your Own Latent" (2020), sec. 3.3.

    Example:
        >>> import torch
        >>> from pcclust.nn.projector import Projector
        >>> Projector(16, 32, 8)(torch.rand(3, 16)).shape
        torch.Size([3, 8])
    """

    def __init__(
        self, in_channels: int, hidden: int, out_channels: int, *, norm: bool = False
    ) -> None:
        between = [nn.BatchNorm1d(hidden)] if norm else []
        first = nn.Linear(in_channels, hidden, bias=not norm)
        super().__init__(first, *between, nn.ReLU(), nn.Linear(hidden, out_channels))
        self.norm = norm

    def forward(self, features: Tensor) -> Tensor:
        """Returns projections ``(B, out_channels)`` of features ``(B, in_channels)``."""
        if self.norm:
            check_batch(self, len(features))
        projection: Tensor = super().forward(features)  # type: ignore[no-untyped-call]
        return projection
