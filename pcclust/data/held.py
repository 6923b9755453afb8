"""Shapes in memory where they fit, and otherwise in their files until they are asked for."""

import os
from collections.abc import Callable

from torch import Tensor

from pcclust.data.dataset import PointDataset
from pcclust.data.storage import MemoryStorage, Storage

# What all processes of a machine may hold together of one dataset.
MEMORY_LIMIT = 4 * 2**30


def point_bytes(dataset: PointDataset) -> int:
    """Returns the bytes of all points of a dataset."""
    return len(dataset) * dataset.num_points * 3 * 4


def held(dataset: PointDataset) -> PointDataset:
    """Returns the dataset with its points in memory, or as it is where they do not fit.

    Under ``torchrun`` the points must fit as often as there are processes on this machine.
    """
    return dataset.load() if fits(dataset) else dataset


def fits(dataset: PointDataset) -> bool:
    """Returns whether each process of this machine may hold all points."""
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return point_bytes(dataset) * processes <= MEMORY_LIMIT


def transformed(dataset: PointDataset, transform: Callable[[Tensor], Tensor]) -> Storage:
    """Returns the points of shapes, changed; in memory where they fit.

    Args:
        dataset: the shapes.
        transform: changes each shape by itself, by no chance.
    """
    if fits(dataset):
        return MemoryStorage(transform(dataset.points))
    return TransformedStorage(dataset, transform)


class TransformedStorage:
    """The points of shapes, changed whenever they are read, and held nowhere.

    Args:
        dataset: the shapes.
        transform: changes each shape by itself, by no chance.
    """

    in_memory = False

    def __init__(self, dataset: PointDataset, transform: Callable[[Tensor], Tensor]) -> None:
        self._dataset, self._transform = dataset, transform
        self.num_points, self.block = dataset.num_points, dataset.storage.block

    def __len__(self) -> int:
        return len(self._dataset)

    def read(self, rows: Tensor) -> Tensor:
        """Returns the points ``(B, P, 3)`` of the shapes ``rows`` ``(B,)``."""
        return self._transform(self._dataset.batch(rows))

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns the part of each point ``(B, P)`` uint8, or None where parts are not known."""
        return self._dataset.part_labels(rows)


def part_of_batch(dataset: PointDataset, rows: Tensor, part: int, parts: int) -> Tensor:
    """Returns the points of a batch, of which only one of some equal parts is read.

    Args:
        dataset: the shapes.
        rows: ``(B,)`` those of the batch.
        part: which part is read.
        parts: how many there are; B is a multiple.

    Returns:
        ``(B, P, 3)``; in the places of the other parts are copies of this one, so that whatever
        draws random numbers for a batch draws as many.
    """
    if parts == 1:
        return dataset.batch(rows)
    size = len(rows) // parts
    return dataset.batch(rows[part * size : (part + 1) * size]).repeat(parts, 1, 1)
