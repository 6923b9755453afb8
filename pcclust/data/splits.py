"""Which shapes are taken: validation sets, subsets, few labels, balanced orders."""

import torch
from torch import Tensor

from pcclust.data.dataset import PointDataset
from pcclust.data.seeding import seeded_generator

# Streams of a seed beside the rotations of `pcclust.evaluate.rotations`, which are 0 to 2.
SUBSET, FEW_LABELS = 3, 4


def stratified_split(
    dataset: PointDataset, fraction: float, seed: int
) -> tuple[PointDataset, PointDataset]:
    """Splits labelled shapes at random, each class in the same proportion.

    Args:
        dataset: shapes with labels.
        fraction: of each class that the second set gets, rounded, but one shape at most less than
            there are: no class is lost to training.
        seed: of the choice; what is chosen of a class does not depend on the other classes.

    Returns:
        The larger set and the one carved out of it, both in the order of the dataset.

    Raises:
        ValueError: no labels, or a fraction outside [0, 1).

    Example:
        >>> import torch
        >>> from pcclust.data import PointDataset
        >>> from pcclust.data.splits import stratified_split
        >>> shapes = PointDataset(torch.rand(12, 8, 3), [0] * 10 + [1] * 2, class_names=["a", "b"])
        >>> [part.counts() for part in stratified_split(shapes, 0.2, seed=0)]
        [{'a': 8, 'b': 2}, {'a': 2, 'b': 0}]
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"the fraction of the validation set must be in [0, 1), got {fraction}")
    if dataset.labels is None:
        raise ValueError("a stratified split needs labels, and this dataset has none")
    carved = torch.zeros(len(dataset), dtype=torch.bool)
    for label in torch.unique(dataset.labels).tolist():
        rows = (dataset.labels == label).nonzero().flatten()
        count = min(round(fraction * len(rows)), len(rows) - 1)
        carved[_drawn(rows, count, seed, label)] = True
    return dataset.subset((~carved).nonzero().flatten()), dataset.subset(carved.nonzero().flatten())


def _drawn(rows: Tensor, count: int, seed: int, label: int) -> Tensor:
    order = torch.randperm(len(rows), generator=seeded_generator(seed, label))
    return rows[order[:count]]


def stratified(labels: Tensor, count: int, seed: int = 0) -> Tensor:
    """Chooses shapes so that each class keeps its share, to within one shape.

    Args:
        labels: ``(S,)`` classes.
        count: how many to choose; all if there are fewer.
        seed: of the choice.

    Returns:
        Sorted positions ``(min(count, S),)`` int64.

    Raises:
        ValueError: ``count`` is not positive.

    Example:
        >>> import torch
        >>> labels = torch.tensor([0] * 6 + [1] * 3)
        >>> labels[stratified(labels, 3)].tolist()
        [0, 0, 1]
    """
    if count < 1:
        raise ValueError(f"{count} shapes cannot be chosen; at least 1")
    if count >= len(labels):
        return torch.arange(len(labels))
    shuffled = torch.randperm(len(labels), generator=seeded_generator(seed, SUBSET))
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    # Every so many of the sorted shapes, beginning in the middle of the first stride.
    places = ((torch.arange(count) * 2 + 1) * len(labels)) // (2 * count)
    return by_class[places].sort().values


def few_labels(labels: Tensor, fraction: float, *, repeat: int = 0, seed: int = 0) -> Tensor:
    """Chooses shapes whose labels are known: of each class its share, but at least one shape.

    Those of a smaller fraction are among those of a larger one of the same repeat.

    Args:
        labels: ``(S,)`` classes.
        fraction: of the labels, from 0 to 1.
        repeat: which of many choices.
        seed: of all repeats.

    Returns:
        Sorted positions int64.

    Raises:
        ValueError: ``fraction`` is not in (0, 1].

    Example:
        >>> import torch
        >>> labels = torch.tensor([0] * 30 + [1] * 10 + [2])
        >>> labels[few_labels(labels, 0.2)].tolist()
        [0, 0, 0, 0, 0, 0, 1, 1, 2]
    """
    if not 0 < fraction <= 1:
        raise ValueError(f"a fraction of {fraction:g} of the labels must be above 0 and at most 1")
    shuffled = torch.randperm(len(labels), generator=seeded_generator(seed, FEW_LABELS, repeat))
    chosen = []
    for label in torch.unique(labels):
        members = shuffled[labels[shuffled] == label]
        chosen.append(members[: max(1, round(fraction * len(members)))])
    return torch.cat(chosen).sort().values


def balanced_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """Draws as many items as there are, of every label equally many.

    A label with fewer items than its share gives each of them equally often, to within one.

    Args:
        labels: ``(N,)`` int64.
        generator: source of randomness, on the CPU.

    Returns:
        ``(N,)`` positions in random order; labels occur equally often, to within one.

    Example:
        >>> import torch
        >>> from pcclust.data.splits import balanced_order
        >>> labels = torch.tensor([0] * 9 + [1] * 2 + [5])
        >>> labels[balanced_order(labels, torch.Generator().manual_seed(0))].bincount().tolist()
        [4, 4, 0, 0, 0, 4]
    """
    present = torch.unique(labels)
    counts = torch.full((len(present),), len(labels) // len(present))
    extra = torch.randperm(len(present), generator=generator)[: len(labels) % len(present)]
    counts[extra] += 1
    drawn = []
    for label, count in zip(present.tolist(), counts.tolist(), strict=True):
        rows = (labels == label).nonzero().flatten()
        rounds = -(-count // len(rows))
        orders = [torch.randperm(len(rows), generator=generator) for _ in range(rounds)]
        drawn.append(rows[torch.cat(orders)[:count]])
    order = torch.cat(drawn)
    return order[torch.randperm(len(order), generator=generator)]
