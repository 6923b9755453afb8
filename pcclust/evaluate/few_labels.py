"""Training shapes of which only a few labels are known."""

import torch
from torch import Tensor

from pcclust.data.loader import seeded_generator

STREAM = 4  # of the seed, beside those of `pcclust.evaluate.turns`


def few_labels(labels: Tensor, share: float, *, draw: int = 0, seed: int = 0) -> Tensor:
    """Chooses shapes whose labels are known: of each class its share, but at least one shape.

    Those of a smaller share are among those of a larger one of the same draw.

    Args:
        labels: ``(S,)`` classes.
        share: of the labels, from 0 to 1.
        draw: which of many choices.
        seed: of all draws.

    Returns:
        Sorted positions int64.

    Raises:
        ValueError: ``share`` is not in (0, 1].

    Example:
        >>> import torch
        >>> labels = torch.tensor([0] * 30 + [1] * 10 + [2])
        >>> labels[few_labels(labels, 0.2)].tolist()
        [0, 0, 0, 0, 0, 0, 1, 1, 2]
    """
    if not 0 < share <= 1:
        raise ValueError(f"a share of {share:g} of the labels must be above 0 and at most 1")
    shuffled = torch.randperm(len(labels), generator=seeded_generator(seed, STREAM, draw))
    chosen = []
    for label in torch.unique(labels):
        members = shuffled[labels[shuffled] == label]
        chosen.append(members[: max(1, round(share * len(members)))])
    return torch.cat(chosen).sort().values
