"""Reading shapes from HDF5 files."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor

from pcclust.data.dataset import UP_AXES, PointDataset, UpAxis, numbered_classes

POINTS = "data"
BLOCK = 64
CACHED_BLOCKS = 64
MOST_CLASSES = 10_000  # higher labels are ids of something, not to be numbered


class Hdf5File(NamedTuple):
    """What one HDF5 file of shapes holds besides the points.

    Attributes:
        path: the file.
        num_shapes: the shapes in it.
        num_points: the points of each.
        labels: ``(num_shapes,)`` int64, or None.
        names: of the shapes, or None.
        class_names: of the labels; empty where the file does not say.
        up_axis: the axis against gravity, or None where the file does not say.
        has_parts: whether each point has a part label (``pid``).
    """

    path: Path
    num_shapes: int
    num_points: int
    labels: np.ndarray | None
    names: list[str] | None
    class_names: tuple[str, ...]
    up_axis: UpAxis | None
    has_parts: bool


def inspect_hdf5(path: Path) -> Hdf5File:
    """Reads everything but the points of an HDF5 file with ``data`` ``(N, P, 3)``.

    Raises:
        FileNotFoundError: no such file.
        OSError: not an HDF5 file, or a truncated one.
        ValueError: an HDF5 file that does not hold shapes.
    """
    with _opened(path) as file:
        points = file.get(POINTS)
        if not isinstance(points, h5py.Dataset) or points.ndim != 3 or points.shape[2] < 3:
            keys = (
                ", ".join(f"{key} {getattr(file[key], 'shape', '')}" for key in file) or "nothing"
            )
            raise ValueError(f"{path}: no dataset 'data' of shape (N, P, 3); it holds {keys}")
        count, num_points = points.shape[:2]
        labels = _column(file, "label", count, path)
        names = _column(file, "name", count, path)
        axis = file.attrs.get("up_axis")
        return Hdf5File(
            path,
            count,
            num_points,
            None if labels is None else labels.astype(np.int64),
            None if names is None else [_text(name) for name in names.tolist()],
            tuple(_text(name) for name in file.attrs.get("class_names", ())),
            axis if axis in UP_AXES else None,
            "pid" in file,
        )


class Hdf5Storage:
    """Points that stay in HDF5 files and are read block by block, the recent blocks kept.

    Args:
        files: what `inspect_hdf5` found; their shapes follow each other.
        num_points: the first so many points of every shape, as published pipelines take them;
            all if None.

    Raises:
        ValueError: no files, or shapes with fewer points than asked for.
    """

    block = BLOCK
    in_memory = False

    def __init__(self, files: Sequence[Hdf5File], num_points: int | None = None) -> None:
        if not files:
            raise ValueError("no HDF5 file to read shapes from")
        smallest = min(files, key=lambda file: file.num_points)
        self.num_points = num_points or smallest.num_points
        if self.num_points > smallest.num_points:
            raise ValueError(
                f"num_points={num_points}, but the shapes of {smallest.path} have only "
                f"{smallest.num_points} points"
            )
        self.files = list(files)
        self._starts = np.cumsum([0, *(file.num_shapes for file in files)])
        self._blocks: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._lock = threading.Lock()
        self._open: dict[Path, h5py.File] = {}
        self._process = os.getpid()

    def __len__(self) -> int:
        return int(self._starts[-1])

    def read(self, rows: Tensor) -> Tensor:
        """Returns the points ``(B, P, 3)`` of the shapes ``rows`` ``(B,)``."""
        if len(rows) == len(self) and bool((rows == torch.arange(len(self))).all()):
            return self._read_all()
        out = np.empty((len(rows), self.num_points, 3), np.float32)
        self._gather(POINTS, rows.numpy(), out)
        return torch.from_numpy(out)

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns the part of each point ``(B, P)``, or None where a file has none."""
        if not all(file.has_parts for file in self.files):
            return None
        out = np.empty((len(rows), self.num_points), np.uint8)
        self._gather("pid", rows.numpy(), out)
        return torch.from_numpy(out)

    def __getstate__(self) -> dict[str, object]:
        state = self.__dict__.copy()
        del state["_lock"]
        return state | {"_open": {}, "_blocks": OrderedDict()}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _read_all(self) -> Tensor:
        out = np.empty((len(self), self.num_points, 3), np.float32)
        with self._lock:
            for file, start in zip(self.files, self._starts[:-1], strict=True):
                points = self._file(file.path)[POINTS]
                selected = np.s_[:, : self.num_points, :3]
                points.read_direct(out, selected, np.s_[start : start + file.num_shapes])
        return torch.from_numpy(out)

    def _gather(self, key: str, rows: np.ndarray, out: np.ndarray) -> None:
        which = np.searchsorted(self._starts, rows, side="right") - 1
        within = rows - self._starts[which]
        block_of = within // self.block
        # One pass over each block, in the order in which the blocks first appear.
        groups = which * (within.max(initial=0) // self.block + 1) + block_of
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            file, block = self.files[which[members[0]]], int(block_of[members[0]])
            values = self._read_block(key, file, block)
            out[members] = values[within[members] - block * self.block]

    def _read_block(self, key: str, file: Hdf5File, block: int) -> np.ndarray:
        cached = (f"{key} of {file.path}", block)
        with self._lock:
            if cached in self._blocks:
                self._blocks.move_to_end(cached)
                return self._blocks[cached]
            first = block * self.block
            values: np.ndarray = self._file(file.path)[key][
                first : first + self.block, : self.num_points
            ]
            self._blocks[cached] = values = values[..., :3] if values.ndim == 3 else values
            if len(self._blocks) > CACHED_BLOCKS:
                self._blocks.popitem(last=False)
            return values

    def _file(self, path: Path) -> h5py.File:
        if self._process != os.getpid():  # a forked worker must not share file positions
            self._open, self._process = {}, os.getpid()
        if path not in self._open:
            self._open[path] = _open(path)
        return self._open[path]


def dataset_of_files(
    files: Sequence[Hdf5File],
    num_points: int | None = None,
    class_names: Sequence[str] = (),
    up_axis: UpAxis | None = None,
) -> PointDataset:
    """Makes one dataset of the shapes of several HDF5 files.

    Args:
        files: what `inspect_hdf5` found.
        num_points: the first so many points of every shape; all if None.
        class_names: of the labels; those that the first file names if there are none, and "class
            0" and so on if it names none.
        up_axis: the axis against gravity; what the first file says if None.

    Raises:
        ValueError: labels that are no classes, duplicate names, or too many points asked for.
    """
    given = [file.labels for file in files if file.labels is not None]
    labels = np.concatenate(given) if len(given) == len(files) else None
    names = [
        name
        for file in files
        for name in file.names or [f"{file.path.stem}/{row:05d}" for row in range(file.num_shapes)]
    ]
    return PointDataset(
        Hdf5Storage(files, num_points),
        labels,
        names,
        class_names or files[0].class_names or _numbered(labels),
        up_axis or files[0].up_axis,
    )


def _numbered(labels: np.ndarray | None) -> tuple[str, ...]:
    """Returns names for the classes of a file that names none."""
    if labels is None or not len(labels) or labels.max() >= MOST_CLASSES:
        return ()
    return numbered_classes(int(labels.max()) + 1)


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    file = _open(path)
    try:
        yield file
    finally:
        file.close()


def _open(path: Path) -> h5py.File:
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise OSError(
            f"{path} is not a whole HDF5 file ({path.stat().st_size:,} bytes; {error}); "
            "fetch or make it again"
        ) from error


def _column(file: h5py.File, key: str, count: int, path: Path) -> np.ndarray | None:
    if key not in file:
        return None
    values: np.ndarray = np.asarray(file[key]).reshape(-1)
    if len(values) != count:
        raise ValueError(f"{path}: {count} shapes, but {len(values)} values of {key!r}")
    return values


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
