"""Batches of shapes in an order that the seed alone decides."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from pcclust.data.dataset import PointDataset
from pcclust.data.held import MEMORY_LIMIT, held, part_of_batch, point_bytes
from pcclust.data.prefetch import prefetched
from pcclust.data.seeding import seeded_generator
from pcclust.data.transforms import Transform

# How many blocks of a streamed dataset are shuffled together.
WINDOW = 32


class Batch(NamedTuple):
    """Several shapes.

    Attributes:
        points: ``(B, P, 3)`` float32.
        labels: ``(B,)`` int64, or None for a dataset without labels.
        indices: ``(B,)`` int64, the shapes' positions in the dataset.
    """

    points: Tensor
    labels: Tensor | None
    indices: Tensor


class PointLoader:
    """Delivers a dataset in batches, once per epoch, shuffled and augmented reproducibly.

    The order of an epoch follows from (seed, epoch) alone, the augmentation of a batch from (seed,
    epoch, rank, batch): neither the number of workers nor an interruption changes a bit. Datasets
    larger than memory are streamed: blocks of neighbouring shapes are read whole, in random order,
    and 32 of them are shuffled together. Several processes (``rank`` of ``world_size``) get
    disjoint parts that together are the dataset. Meshes are slow to read: turn them into HDF5
    with `pcclust data prepare` first.

    Args:
        dataset: the shapes.
        batch_size: shapes of a batch, in each process.
        shuffle: whether the order is random.
        seed: of order and augmentation.
        transform: applied to the points of each batch, see `pcclust.data.transforms`.
        drop_last: whether shapes that do not fill a batch (in all processes) are left out; if
            not, the last batch is smaller, and processes may differ by one shape.
        workers: threads that prepare batches ahead; 0 prepares them when they are asked for.
        rank: number of this process, from 0.
        world_size: number of processes.
        stream: whether points are read anew in every epoch instead of kept in memory; if None,
            where they exceed 4 GiB. (Or 4 GiB by all processes of a machine: then they are read
            anew, too, and the order stays.)

    Attributes:
        part: which of how many equal parts of each batch is read; ``(0, 1)``: all of it. The rest
            of a batch is of no use.

    Raises:
        ValueError: an empty dataset or impossible sizes.

    Example:
        >>> import torch
        >>> from pcclust.data import PointDataset, PointLoader
        >>> from pcclust.data.transforms import Compose, Jitter, RotateSO3
        >>> shapes = PointDataset(torch.rand(10, 64, 3))
        >>> loader = PointLoader(shapes, 4, transform=Compose(RotateSO3(), Jitter()), seed=1)
        >>> [tuple(batch.points.shape) for batch in loader.epoch(0)]
        [(4, 64, 3), (4, 64, 3), (2, 64, 3)]
    """

    def __init__(
        self,
        dataset: PointDataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        transform: Transform | None = None,
        drop_last: bool = False,
        workers: int = 2,
        rank: int = 0,
        world_size: int = 1,
        stream: bool | None = None,
    ) -> None:
        _check_sizes(dataset, batch_size, workers, rank, world_size)
        self.dataset = dataset
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.seed = seed
        self.transform = transform
        self.drop_last = drop_last
        self.workers = workers
        self.rank = rank
        self.world_size = world_size
        self.part = (0, 1)
        self.stream = point_bytes(dataset) > MEMORY_LIMIT if stream is None else stream
        self._kept = held if stream is None else PointDataset.load
        self._next_epoch = 0

    def __len__(self) -> int:
        """The batches of an epoch in this process."""
        first, last = self._share()
        return -(-(last - first) // self.batch_size)

    def __iter__(self) -> Iterator[Batch]:
        """Iterates over the next epoch."""
        epoch = self._next_epoch
        self._next_epoch += 1
        return self.epoch(epoch)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Iterates over the batches of an epoch.

        Args:
            epoch: its number; the same number gives the same batches.
            start: the batch to begin with, for going on after an interruption.
        """
        if not self.stream:
            self.dataset = self._kept(self.dataset)
        first, last = self._share()
        order = self.order(epoch)[first:last]
        batches = list(torch.split(order, self.batch_size)) if len(order) else []
        jobs = ((epoch, number, batches[number]) for number in range(start, len(batches)))
        yield from prefetched(jobs, lambda job: self._prepare(*job), self.workers)

    def order(self, epoch: int) -> Tensor:
        """Returns the order ``(N,)`` of an epoch, that of all processes together."""
        count = len(self.dataset)
        if not self.shuffle:
            return torch.arange(count)
        generator = seeded_generator(self.seed, epoch)
        block = self.dataset.storage.block if self.stream else 1
        if block == 1:
            return torch.randperm(count, generator=generator)
        return _shuffled_blocks(self.dataset.rows, block, generator)

    def _share(self) -> tuple[int, int]:
        """The first and the last + 1 position of this process in the order."""
        count = len(self.dataset)
        if self.drop_last:
            count -= count % (self.batch_size * self.world_size)
        return self.rank * count // self.world_size, (self.rank + 1) * count // self.world_size

    def _prepare(self, epoch: int, number: int, indices: Tensor) -> Batch:
        points = part_of_batch(self.dataset, indices, *self.part)
        if self.transform is not None:
            generator = seeded_generator(self.seed, epoch, self.rank, number)
            points = self.transform(points, generator)
        labels = self.dataset.labels
        return Batch(points, None if labels is None else labels[indices], indices)


def _shuffled_blocks(rows: Tensor, block: int, generator: Generator) -> Tensor:
    """Shuffles blocks of neighbouring rows, then the shapes inside each window of blocks."""
    block_of = rows // block
    rank = torch.randperm(int(block_of.max()) + 1, generator=generator)
    order = torch.argsort(rank[block_of], stable=True)
    windows = torch.split(order, block * WINDOW)
    return torch.cat([w[torch.randperm(len(w), generator=generator)] for w in windows])


def _check_sizes(
    dataset: PointDataset, batch_size: int, workers: int, rank: int, world_size: int
) -> None:
    if not len(dataset):
        raise ValueError("the dataset is empty")
    if batch_size < 1 or workers < 0:
        raise ValueError(
            f"batch_size={batch_size} must be positive, workers={workers} not negative"
        )
    if not 0 <= rank < world_size:
        raise ValueError(f"rank={rank} must be from 0 to world_size - 1 = {world_size - 1}")
