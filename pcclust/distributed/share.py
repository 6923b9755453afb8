"""The rows of one process, and what k-means asks of them."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.cluster._magnitude import exponent_of, times_two_to
from pcclust.distributed.exact import EXACT_ROWS, Grid, bins_of, total_of
from pcclust.distributed.group import Group
from pcclust.distributed.rows import Rows, boundaries
from pcclust.ops._codes import answers_by_row
from pcclust.ops.kmeans_assign import kmeans_assign
from pcclust.ops.kmeans_update import kmeans_update

# Rows that fit are read once. The others are read anew in every pass.
KEPT_BYTES = 1 << 29
SMALLEST_CHUNK, LARGEST_CHUNK = 1 << 10, 1 << 13
CHUNKS = 16  # at least, where there are rows enough


class Totals(NamedTuple):
    """What one pass over all rows of all processes finds.

    Attributes:
        sums: ``(K, D)`` int64, the rows of each cluster in steps of the grid.
        masses: ``(K,)`` int64, how many they are.
    """

    sums: Tensor
    masses: Tensor


class Share:
    """A run of consecutive rows, on the device, as all are clustered: on a grid, in float32.

    Args:
        rows: all there are.
        group: who shares them.
        advance: is told of rows that a pass is done with.

    Attributes:
        boundaries: the first row of each process, and the one behind its last.
        first: the number of its own first row.
        last: the one behind its last.
        labels: ``(n,)`` int32, what the last pass found.
        distances: ``(n,)`` float32, squared, likewise.
        grid: what rows are rounded to.
        exponent: of the power of two that they are divided by.
        shift: ``(D,)`` a point amid all rows.

    Raises:
        ValueError: NaN or inf; says in which row.
    """

    def __init__(self, rows: Rows, group: Group, advance: Callable[[int], None]) -> None:
        self.rows, self.group, self.advance = rows, group, advance
        self.chunk = chunk_size(rows.count)
        self.boundaries = boundaries(rows.count, self.chunk, group.count)
        self.first, self.last = self.boundaries[group.index]
        self._kept: Tensor | None = None
        self._prepare()
        self.labels = torch.zeros(len(self), dtype=torch.int32, device=group.device)
        self.distances = torch.zeros(len(self), dtype=torch.float32, device=group.device)

    def __len__(self) -> int:
        """The number of rows."""
        return self.last - self.first

    @property
    def rows_that_fit(self) -> int:
        """How many rows may be kept in memory."""
        return KEPT_BYTES // (self.rows.width * 4)

    def all_blocks(self) -> Iterator[Tensor]:
        """Yields the rows of all processes, in order, ready."""
        for first, read in self.rows.blocks(0, self.rows.count, self.chunk):
            yield self._ready(self._floats(read, first))

    def take(self, numbers: Tensor) -> Tensor:
        """Returns rows of this share, by their numbers among all, ascending."""
        if self._kept is not None:
            return self._kept[numbers - self.first]
        taken = self.rows.take(numbers.cpu().numpy(), self.chunk)
        return self._ready(self._floats(taken, int(numbers[0]) if len(numbers) else 0))

    def assign(self, centers: Tensor) -> Totals:
        """Gives every row its nearest center, and adds the rows up.

        Args:
            centers: ``(K, D)`` float32.
        """
        sums = torch.zeros(centers.shape, dtype=torch.int64, device=centers.device)
        masses = sums.new_zeros(len(centers))
        for place, block in self.blocks():
            guess = self.labels[place].clamp(max=len(centers) - 1).long()
            labels, distances = self._assigned(block, centers, guess)
            self.labels[place], self.distances[place] = labels.to(torch.int32), distances
            added, weights = kmeans_update(block, None, labels, len(centers))
            sums += self.grid.in_steps(added)
            masses += weights.long()
        return self._totals(sums, masses)

    def means(self, clusters: int) -> tuple[Tensor, Tensor]:
        """Returns the means of the rows that have each label, ``(K, D)`` float64, and how many."""
        sums = torch.zeros((clusters, self.rows.width), dtype=torch.int64, device=self.group.device)
        masses = sums.new_zeros(clusters)
        for place, block in self.blocks():
            added, weights = kmeans_update(block, None, self.labels[place].long(), clusters)
            sums += self.grid.in_steps(added)
            masses += weights.long()
        return self.means_of(self._totals(sums, masses))

    def means_of(self, totals: Totals) -> tuple[Tensor, Tensor]:
        """Returns the means ``(K, D)`` of clusters and the rows of each ``(K,)``, float64."""
        masses = totals.masses.double()
        return self.grid.values(totals.sums) / masses.clamp(min=1)[:, None], masses

    def add_candidates(self, candidates: Tensor, first: int) -> None:
        """Lets rows that are nearer to a new candidate than to any before follow it.

        Args:
            candidates: ``(M, D)`` float32.
            first: the number of the first of them; at 0 there were none before.
        """
        for place, block in self.blocks():
            labels, distances = self._assigned(block, candidates)
            if first:
                nearer = distances < self.distances[place]
                labels = torch.where(nearer, labels + first, self.labels[place])
                distances = torch.minimum(distances, self.distances[place])
            self.labels[place], self.distances[place] = labels.to(torch.int32), distances

    def inertia(self) -> float:
        """Returns the sum of the squared distances of all rows."""
        bins = bins_of(self.distances[:0])
        for place in self.places():
            bins += bins_of(self.distances[place])
        return total_of(self.group.sum(bins))

    def places(self) -> Iterator[slice]:
        """Yields where some rows of this share are, and then more, so as to save memory."""
        for at in range(0, len(self), EXACT_ROWS):
            yield slice(at, min(at + EXACT_ROWS, len(self)))

    def summed_distances(self, clusters: int) -> Tensor:
        """Returns the sum of squared distances in each cluster, ``(K,)`` float64.

        It is rounded to a grid that the largest distance of each cluster decides.
        """
        largest = self.distances.new_zeros(clusters)
        for place in self.places():
            largest.scatter_reduce_(0, self.labels[place].long(), self.distances[place], "amax")
        grid = Grid.of(self.group.maximum(largest), self.rows.count)
        sums = torch.zeros_like(grid.steps, dtype=torch.int64)
        for place in self.places():
            labels = self.labels[place].long()
            steps = (self.distances[place].double() / grid.steps[labels]).round_().long()
            sums.index_add_(0, labels, steps)
        return grid.values(self.group.sum(sums))

    def _assigned(
        self, block: Tensor, centers: Tensor, guess: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Returns the nearest centers of rows, and their squared distances."""
        if answers_by_row(block):
            return kmeans_assign(block, centers, self.shift, guess)
        # The twin's matrix product may round a row by the rows beside it: they are always the same.
        parts = [
            kmeans_assign(part, centers, self.shift) for part in torch.split(block, self.chunk)
        ]
        labels, distances = zip(*parts, strict=True)
        return torch.cat(labels), torch.cat(distances)

    def _totals(self, sums: Tensor, masses: Tensor) -> Totals:
        """Adds up what all processes found, in one message."""
        message = self.group.sum(torch.cat([sums, masses[:, None]], dim=1))
        return Totals(message[:, :-1], message[:, -1])

    def _prepare(self) -> None:
        """Looks at all rows once: at their largest values, and for what is no number."""
        largest = self.group.together(self._survey)
        largest = self.group.maximum(largest)
        self.exponent = exponent_of(largest)
        self.grid = Grid.of(times_two_to(largest, -self.exponent), self.rows.count)
        if self._kept is not None and not self._as_they_are():
            for part in torch.split(self._kept, self.chunk):
                part.copy_(self._ready(part))
        step = -(-self.rows.count // 255)
        samples = torch.arange(0, self.rows.count, step, device=self.group.device)
        own = samples[(samples >= self.first) & (samples < self.last)]
        self.shift = self.group.joined(self.take(own)).median(dim=0).values

    def _survey(self) -> Tensor:
        largest = torch.zeros(self.rows.width, device=self.group.device)
        if len(self) <= self.rows_that_fit:
            # NumPy asks for huge pages, with which kernels read a tenth faster.
            kept = np.empty((len(self), self.rows.width), np.float32)
            self._kept = torch.from_numpy(kept).to(self.group.device)
        for first, block in self.rows.blocks(self.first, self.last, self.chunk):
            floats = self._floats(block, first)
            low, high = torch.aminmax(floats, dim=0)
            largest = torch.maximum(largest, torch.maximum(-low, high))
            if self._kept is not None:
                self._kept[first - self.first :][: len(floats)] = floats
            self.advance(len(block))
        return largest

    def _as_they_are(self) -> bool:
        half = self.rows.dtype == np.float16
        return half and self.exponent == 0 and self.grid.float16_lies_on_it

    def _floats(self, block: NDArray[Any], first: int) -> Tensor:
        """Returns what was read as float32 on the device."""
        with np.errstate(over="ignore"):
            rows = torch.from_numpy(np.require(block, np.float32, ["C", "W"])).to(self.group.device)
        # Any NaN or inf reaches the sum; a sum alone may overflow.
        if not bool(torch.isfinite(rows.sum())) and not bool(torch.isfinite(rows).all()):
            row = int((~torch.isfinite(rows)).any(dim=1).nonzero()[0])
            raise ValueError(
                f"{self.rows.called(first + row)} holds NaN, inf or what is beyond float32: leave "
                "it out, or write these features again"
            )
        return rows

    def _ready(self, floats: Tensor) -> Tensor:
        if self._as_they_are():
            return floats
        return self.grid.snap(times_two_to(floats, -self.exponent))

    def blocks(self) -> Iterator[tuple[slice, Tensor]]:
        """Yields rows that are ready, and where they are in this share."""
        if self._kept is not None:
            for at, block in enumerate(torch.split(self._kept, EXACT_ROWS)):
                yield slice(at * EXACT_ROWS, at * EXACT_ROWS + len(block)), block
                self.advance(len(block))
            return
        for first, read in self.rows.blocks(self.first, self.last, self.chunk):
            at = first - self.first
            yield slice(at, at + len(read)), self._ready(self._floats(read, first))
            self.advance(len(read))


def chunk_size(count: int) -> int:
    """Returns how many rows are handed to a kernel at once, whoever has them.

    Example:
        >>> from pcclust.distributed.share import chunk_size
        >>> chunk_size(100), chunk_size(100_000), chunk_size(10**9)
        (1024, 4096, 8192)
    """
    chunk = SMALLEST_CHUNK
    while chunk * 2 * CHUNKS <= count and chunk < LARGEST_CHUNK:
        chunk *= 2
    return chunk
