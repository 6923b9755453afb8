"""A classifier of pairs of clouds: are both parts of one object?"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._batch_norm import check_batch
from pcclust.nn._lengths import described


class PairClassifier(nn.Module):
    """Encodes every part once, then classifies pairs of parts by an MLP on both encodings.

    The first layer of the MLP on ``[f_i, f_j]`` is ``A f_i + B f_j``: it is computed for parts, and
    only its sums for pairs, so that pairs cost next to nothing.

    Args:
        encoder: maps ``(R, M, 3)`` to ``(R, encoder.out_channels)``.
        other: encodes the right part of each pair; the same encoder if None. With two branches
            only the parts on its side are encoded by each.
        channels: of the MLP, each with BatchNorm, ReLU and dropout.
        dropout: fraction of these channels that training sets to 0.

    Attributes:
        encoder: as given.

    Source: Zhang and Zhu, "Unsupervised Feature Learning for Point Cloud Understanding by
    Contrasting and Clustering Using Graph Convolutional Neural Networks" (2019); the MLP is that of
    its official code.

    Example:
        >>> import torch
        >>> from pcclust.nn import DGCNN
        >>> from pcclust.nn.pair_classifier import PairClassifier
        >>> left, right = torch.tensor([0, 0, 1]), torch.tensor([1, 2, 2])
        >>> PairClassifier(DGCNN())(torch.rand(3, 64, 3), left, right).shape
        torch.Size([3, 2])
    """

    def __init__(
        self,
        encoder: nn.Module,
        other: nn.Module | None = None,
        *,
        channels: Sequence[int] = (1024, 512),
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.other = other
        width = int(encoder.out_channels)  # type: ignore[arg-type]
        self.first = nn.Linear(2 * width, channels[0], bias=False)
        layers: list[nn.Module] = []
        for position, size in enumerate(channels):
            if position:
                layers.append(nn.Linear(channels[position - 1], size, bias=False))
            layers += [nn.BatchNorm1d(size), nn.ReLU(inplace=True), nn.Dropout(dropout)]
        self.head = nn.Sequential(*layers, nn.Linear(channels[-1], 2))

    def forward(
        self, parts: Tensor, left: Tensor, right: Tensor, *, lengths: Tensor | None = None
    ) -> Tensor:
        """Scores pairs.

        Args:
            parts: ``(R, M, 3)``.
            left: ``(Q,)`` int64, the first part of each pair.
            right: ``(Q,)`` int64, its second part.
            lengths: ``(R,)`` the points of each part of a padded batch.

        Returns:
            ``(Q, 2)`` logits of "different objects" and "the same object".

        Raises:
            TypeError: as the encoder.
            ValueError: as the encoder, or a single pair to train on.
        """
        check_batch(self, len(left))
        matrices = self.first.weight.chunk(2, dim=1)
        if self.other is None:
            features = described(self.encoder, parts, lengths)
            first, second = (features @ matrix.T for matrix in matrices)
        else:
            first, left = _encode(self.encoder, parts, left, lengths, matrices[0])
            second, right = _encode(self.other, parts, right, lengths, matrices[1])
        # Rows are taken by index_select, whose gradient has the same bits on every run.
        logits: Tensor = self.head(first.index_select(0, left) + second.index_select(0, right))
        return logits


def _encode(
    encoder: nn.Module, parts: Tensor, used: Tensor, lengths: Tensor | None, matrix: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns mapped encodings of the parts that are used, and where each use finds its own."""
    rows, places = torch.unique(used, return_inverse=True)
    of_rows = None if lengths is None else lengths[rows]
    return described(encoder, parts[rows], of_rows) @ matrix.T, places
