"""A classifier of whole shapes: any backbone and a small head."""

from torch import Tensor, nn

from pcclust.nn._batch_norm import check_batch
from pcclust.nn._lengths import described


class Classifier(nn.Module):
    """Scores the classes of each cloud by an MLP on a backbone's vector.

    The head is that of DGCNN: 512 and 256 channels, each with BatchNorm, LeakyReLU and dropout.

    Args:
        backbone: maps ``(B, N, 3)`` to ``(B, backbone.out_channels)``.
        num_classes: how many classes.
        dropout: fraction of the head's channels that training sets to 0.

    Attributes:
        backbone: as given.
        head: the MLP.
        num_classes: as given.

    Example:
        >>> import torch
        >>> from pcclust.nn import DGCNN, Classifier
        >>> Classifier(DGCNN(), 40)(torch.rand(2, 100, 3)).shape
        torch.Size([2, 40])
    """

    def __init__(self, backbone: nn.Module, num_classes: int, *, dropout: float = 0.5) -> None:
        super().__init__()
        channels = getattr(backbone, "out_channels", None)
        if not isinstance(channels, int):
            raise TypeError(
                f"the backbone must have out_channels, an int; {type(backbone).__name__} has "
                f"{channels!r}"
            )
        if num_classes < 1:
            raise ValueError(f"num_classes={num_classes} must be at least 1")
        self.backbone = backbone
        self.num_classes = num_classes
        layers: list[nn.Module] = []
        for width, out in ((channels, 512), (512, 256)):
            layers += [nn.Linear(width, out, bias=False), nn.BatchNorm1d(out)]
            layers += [nn.LeakyReLU(0.2, inplace=True), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(256, num_classes))

    def forward(self, points: Tensor, lengths: Tensor | None = None, **extras: Tensor) -> Tensor:
        """Scores each cloud.

        Args:
            points: ``(B, N, 3)``.
            lengths: ``(B,)`` the points of each cloud of a padded batch.
            **extras: what else the backbone takes, e.g. ``clusters`` for `ClusterNet`.

        Returns:
            ``(B, num_classes)`` logits.

        Raises:
            TypeError: as the backbone.
            ValueError: as the backbone, or a single cloud to train on.
        """
        check_batch(self, points.shape[0])
        logits: Tensor = self.head(described(self.backbone, points, lengths, **extras))
        return logits
