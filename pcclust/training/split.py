"""Carving a validation set out of the training set."""

import torch
from torch import Tensor

from pcclust.data import PointDataset
from pcclust.data.loader import seeded_generator


def stratified_split(
    dataset: PointDataset, share: float, seed: int
) -> tuple[PointDataset, PointDataset]:
    """Splits labelled shapes at random, each class in the same proportion.

    Args:
        dataset: shapes with labels.
        share: of each class that the second set gets, rounded, but one shape at most less than
            there are: no class is lost to training.
        seed: of the choice; what is chosen of a class does not depend on the other classes.

    Returns:
        The larger set and the one carved out of it, both in the order of the dataset.

    Raises:
        ValueError: no labels, or a share outside [0, 1).

    Example:
        >>> import torch
        >>> from pcclust.data import PointDataset
        >>> from pcclust.training.split import stratified_split
        >>> shapes = PointDataset(torch.rand(12, 8, 3), [0] * 10 + [1] * 2, class_names=["a", "b"])
        >>> [part.counts() for part in stratified_split(shapes, 0.2, seed=0)]
        [{'a': 8, 'b': 2}, {'a': 2, 'b': 0}]
    """
    if not 0 <= share < 1:
        raise ValueError(f"the share of the validation set must be in [0, 1), got {share}")
    if dataset.labels is None:
        raise ValueError("a stratified split needs labels, and this dataset has none")
    carved = torch.zeros(len(dataset), dtype=torch.bool)
    for label in torch.unique(dataset.labels).tolist():
        rows = (dataset.labels == label).nonzero().flatten()
        count = min(round(share * len(rows)), len(rows) - 1)
        carved[_drawn(rows, count, seed, label)] = True
    return dataset.subset((~carved).nonzero().flatten()), dataset.subset(carved.nonzero().flatten())


def _drawn(rows: Tensor, count: int, seed: int, label: int) -> Tensor:
    order = torch.randperm(len(rows), generator=seeded_generator(seed, label))
    return rows[order[:count]]
