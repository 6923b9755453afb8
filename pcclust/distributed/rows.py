"""Rows of features that need not fit memory: files, and folders of shards, read by their numbers.

All rows are numbered through, whichever part they are in, so that what is made of row i does not
depend on where a part ends.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.feature_file import HDF5, is_feature_file, read_feature_file
from pcclust.data.hdf5_content import checked_array, opened
from pcclust.distributed.shards import NAME, ShardFolder
from pcclust.distributed.store import is_url

READ_BYTES = 1 << 20  # at once; Parquet takes several times as much to decode them


class Part(NamedTuple):
    """A file, or a shard: rows whose labels are written together.

    Attributes:
        name: of the file.
        first: the number of its first row.
        size: its rows; a part may be empty.
    """

    name: str
    first: int
    size: int


class Rows(ABC):
    """Rows ``(N, C)`` in parts.

    Args:
        place: where they are, in words.
        names: of the parts.
        counts: rows of each.
        width: C.
        dtype: of what is read.

    Attributes:
        parts: with the numbers of their rows.
        count: N.
    """

    def __init__(
        self, place: str, names: Sequence[str], counts: Sequence[int], width: int, dtype: DTypeLike
    ) -> None:
        self.place, self.width, self.dtype = place, width, np.dtype(dtype)
        firsts = [0, *accumulate(counts)]
        self.parts = [Part(*each) for each in zip(names, firsts, counts, strict=False)]
        self.count = firsts[-1]

    def __len__(self) -> int:
        """The number of rows."""
        return self.count

    @abstractmethod
    def _read(self, part: int, start: int, stop: int) -> NDArray[Any]:
        """Returns some rows of a part."""

    def _pieces(self, part: int, start: int, stop: int) -> Iterator[NDArray[Any]]:
        """Yields some rows of a part, in order, in pieces of any size."""
        step = max(1, READ_BYTES // (self.width * self.dtype.itemsize))
        for first in range(start, stop, step):
            yield self._read(part, first, min(first + step, stop))

    def digest(self) -> str:
        """Returns a hash by which processes see that they read the same; it reads no rows."""
        sizes = [(part.name, part.size) for part in self.parts]
        return hashlib.sha256(repr((sizes, self.width, str(self.dtype))).encode()).hexdigest()

    def blocks(self, first: int, last: int, size: int) -> Iterator[tuple[int, NDArray[Any]]]:
        """Yields rows, and the number of the first of them, in order.

        Args:
            first: of all.
            last: behind them.
            size: each block ends at a multiple of it, or with ``last``.
        """
        held: list[NDArray[Any]] = []
        at = first
        for piece in self._in_order(first, last):
            begin = 0
            while begin < len(piece):
                lacking = min((at // size + 1) * size, last) - at - sum(map(len, held))
                held.append(piece[begin : begin + lacking])
                begin += len(held[-1])
                if len(held[-1]) == lacking:
                    block = held[0] if len(held) == 1 else np.concatenate(held)
                    yield at, block
                    at, held = at + len(block), []

    def take(self, numbers: NDArray[np.int64], size: int) -> NDArray[Any]:
        """Returns rows by their numbers, ascending.

        Args:
            numbers: ``(n,)``.
            size: rows that are read at once, about.
        """
        taken = [np.empty((0, self.width), self.dtype)]
        for block in np.unique(numbers // size):
            some = numbers[numbers // size == block]
            read = np.concatenate(list(self._in_order(int(some[0]), int(some[-1]) + 1)))
            taken.append(read[some - some[0]])
        return np.concatenate(taken)

    def called(self, number: int) -> str:
        """Returns how to tell a person of a row."""
        part = next(p for p in self.parts if p.first <= number < p.first + p.size)
        return f"{self._place_of(part)}: row {number - part.first:,}"

    def _place_of(self, part: Part) -> str:
        return part.name if len(self.parts) == 1 else f"{self.place}/{part.name}"

    def _in_order(self, first: int, last: int) -> Iterator[NDArray[Any]]:
        for index, part in enumerate(self.parts):
            start, stop = max(first, part.first), min(last, part.first + part.size)
            if start < stop:
                yield from self._pieces(index, start - part.first, stop - part.first)


class ArrayRows(Rows):
    """Rows of an array in memory.

    Example:
        >>> import numpy as np
        >>> from pcclust.distributed.rows import ArrayRows
        >>> rows = ArrayRows(np.arange(20.0).reshape(10, 2))
        >>> [(first, block.shape) for first, block in rows.blocks(3, 10, 4)]
        [(3, (1, 2)), (4, (4, 2)), (8, (2, 2))]
    """

    def __init__(self, array: NDArray[Any], name: str = "array") -> None:
        super().__init__(name, [name], [len(array)], array.shape[1], array.dtype)
        self._array = array

    def digest(self) -> str:
        """Returns a hash of all numbers."""
        return hashlib.sha256(np.ascontiguousarray(self._array).data).hexdigest()

    def _read(self, part: int, start: int, stop: int) -> NDArray[Any]:
        return self._array[start:stop]


class NpyRows(Rows):
    """Rows of a ``.npy`` file, read and not mapped, so that memory holds what is asked for."""

    def __init__(self, path: Path) -> None:
        try:
            header = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise ValueError(f"{path} is no whole NumPy file of numbers ({error})") from error
        if header.ndim != 2 or not header.size or header.dtype.kind not in "fiu":
            raise ValueError(
                f"{path}: features must be numbers (N, C), got {header.dtype} {header.shape}"
            )
        if not header.flags.c_contiguous:
            raise ValueError(f"{path} holds columns, not rows: save numpy.ascontiguousarray of it")
        super().__init__(str(path), [path.name], [len(header)], header.shape[1], header.dtype)
        self._path, self._offset = path, header.offset

    def digest(self) -> str:
        """Returns a hash of its size, and of its first and last numbers."""
        ends = np.concatenate([self._read(0, 0, 1), self._read(0, self.count - 1, self.count)])
        return hashlib.sha256(super().digest().encode() + ends.tobytes()).hexdigest()

    def _read(self, part: int, start: int, stop: int) -> NDArray[Any]:
        row = self.width * self.dtype.itemsize
        count, offset = (stop - start) * self.width, self._offset + start * row
        read = np.fromfile(self._path, self.dtype, count, offset=offset)
        if len(read) != count:
            raise OSError(f"{self._path} ends early: it has changed while it was read")
        return read.reshape(-1, self.width)


class Hdf5Rows(Rows):
    """Rows of the array ``features`` of an HDF5 file."""

    def __init__(self, path: Path) -> None:
        with opened(path) as file:
            features = checked_array(file, "features")
            if features.ndim != 2 or not features.size or features.dtype.kind not in "fiu":
                raise ContentError(
                    f"features must be numbers (N, C), got {features.dtype} {features.shape}"
                )
            count, width = features.shape
            super().__init__(str(path), [path.name], [count], width, features.dtype)
        self._path = path

    def _read(self, part: int, start: int, stop: int) -> NDArray[Any]:
        with opened(self._path) as file:
            read: NDArray[Any] = file["features"][start:stop]
        return read


class ShardedRows(Rows):
    """Rows of a folder of shards that ``pcclust embed --shards`` writes.

    Attributes:
        folder: of the shards.
    """

    def __init__(self, url: str) -> None:
        self.folder = folder = ShardFolder(url)
        super().__init__(url, folder.names, folder.counts, folder.width, folder.dtype)

    def digest(self) -> str:
        """Returns a hash of the names, their rows, the model and the plan."""
        about = self.folder.about
        told = (super().digest(), about.model, about.plan, about.pcclust, about.settings)
        return hashlib.sha256(repr(told).encode()).hexdigest()

    def _place_of(self, part: Part) -> str:
        return self.folder.store.place(part.name)

    def _pieces(self, part: int, start: int, stop: int) -> Iterator[NDArray[Any]]:
        if (start, stop) != (0, self.parts[part].size):
            yield from super()._pieces(part, start, stop)
            return
        step = max(1, READ_BYTES // (self.width * self.dtype.itemsize))
        for rows in self.folder.stream(step, [part], texts=False):
            yield rows.features

    def _read(self, part: int, start: int, stop: int) -> NDArray[Any]:
        return self.folder.read(part, start, stop, texts=False).features


def holds_shards(source: str) -> bool:
    """Returns whether a place is a folder of shards: a URL always is."""
    path = Path(source)
    if is_url(source) or not path.is_dir():
        return is_url(source)
    return any(NAME.fullmatch(entry.name) for entry in path.iterdir())


def open_rows(source: str) -> Rows:
    """Opens features.

    Args:
        source: a folder of shards, or a file (.npy, or .npz or .h5 with ``features``).

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: something else, or shards that do not belong together.
    """
    if holds_shards(source):
        return ShardedRows(source)
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist")
    if not is_feature_file(path):
        raise ValueError(
            f"{path} holds no features: give a folder of shards that pcclust embed --shards "
            "writes, or a .npy, .npz or .h5 file of features"
        )
    if path.suffix.lower() == ".npy":
        return NpyRows(path)
    if path.suffix.lower() in HDF5:
        return Hdf5Rows(path)
    return ArrayRows(read_feature_file(path)[0], path.name)


def boundaries(count: int, chunk: int, processes: int) -> list[tuple[int, int]]:
    """Returns the first row of each process and the one behind its last: whole chunks, alike many.

    Example:
        >>> from pcclust.distributed.rows import boundaries
        >>> boundaries(10, 2, 2)
        [(0, 4), (4, 10)]
    """
    chunks = -(-count // chunk)
    ends = [min(count, chunks * i // processes * chunk) for i in range(processes + 1)]
    return list(pairwise(ends))
