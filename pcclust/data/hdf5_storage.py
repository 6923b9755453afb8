"""Shapes that stay in HDF5 files until they are read."""

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import torch
from torch import Tensor

from pcclust.data.dataset import UpAxis
from pcclust.data.hdf5_content import open_file
from pcclust.data.precision import in_float32

PARTS = "pid"
BLOCK = 64
CACHED_BLOCKS = 64


class Hdf5File(NamedTuple):
    """What one HDF5 file of shapes holds besides the points.

    Attributes:
        path: the file.
        key: of the points in it.
        num_shapes: the shapes in it.
        num_points: the points of each.
        labels: ``(num_shapes,)`` int64, or None.
        names: of the shapes, or None.
        class_names: of the labels; empty where the file does not say.
        up_axis: the axis against gravity, or None where the file does not say.
        has_parts: whether each point has a part label (``pid``).
    """

    path: Path
    key: str
    num_shapes: int
    num_points: int
    labels: np.ndarray | None
    names: list[str] | None
    class_names: tuple[str, ...]
    up_axis: UpAxis | None
    has_parts: bool


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
                f"{smallest.num_points} points; ask for so many at most"
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
        self._gather(None, rows.numpy(), out)
        self._refuse_not_finite(out, rows.numpy())
        return torch.from_numpy(out)

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns the part of each point ``(B, P)``, or None where a file has none."""
        if not all(file.has_parts for file in self.files):
            return None
        out = np.empty((len(rows), self.num_points), np.uint8)
        self._gather(PARTS, rows.numpy(), out)
        return torch.from_numpy(out)

    def __getstate__(self) -> dict[str, object]:
        state = self.__dict__.copy()
        del state["_lock"]
        return state | {"_open": {}, "_blocks": OrderedDict()}

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state, _lock=threading.Lock())

    def _read_all(self) -> Tensor:
        out = np.empty((len(self), self.num_points, 3), np.float32)
        for file, start in zip(self.files, self._starts[:-1], strict=True):
            rows = np.s_[start : start + file.num_shapes]
            with self._lock:
                points = self._file(file.path)[file.key]
                if points.dtype == np.float32:
                    points.read_direct(out, np.s_[:, : self.num_points, :3], rows)
                    continue
            for block in range(-(-file.num_shapes // self.block)):
                values = self._read_block(file.key, file, block)
                first = start + block * self.block
                out[first : first + len(values)] = values
        self._refuse_not_finite(out, np.arange(len(self)))
        return torch.from_numpy(out)

    def _refuse_not_finite(self, points: np.ndarray, rows: np.ndarray) -> None:
        """Raises ValueError with the file, the shape in it and the point of that shape."""
        # A sum is finite only if all of it is, save for sums that overflow, and takes no memory.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(points.sum()):
                return
        wrong = ~np.isfinite(points).all(axis=2)
        if not wrong.any():
            return
        at, point = (int(where[0]) for where in np.nonzero(wrong))
        which = int(np.searchsorted(self._starts, rows[at], side="right")) - 1
        raise ValueError(
            f"{self.files[which].path}: shape {rows[at] - self._starts[which]}, point {point} is "
            f"not finite in float32: {points[at, point].tolist()}; remove it, or the shape"
        )

    def _gather(self, key: str | None, rows: np.ndarray, out: np.ndarray) -> None:
        which = np.searchsorted(self._starts, rows, side="right") - 1
        within = rows - self._starts[which]
        block_of = within // self.block
        # One pass over each block, in the order in which the blocks first appear.
        groups = which * (within.max(initial=0) // self.block + 1) + block_of
        for group in np.unique(groups):
            members = np.flatnonzero(groups == group)
            file, block = self.files[which[members[0]]], int(block_of[members[0]])
            values = self._read_block(key or file.key, file, block)
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
            if values.ndim == 3:
                values = in_float32(torch.from_numpy(_native(values[..., :3]))).numpy()
            self._blocks[cached] = values
            if len(self._blocks) > CACHED_BLOCKS:
                self._blocks.popitem(last=False)
            return values

    def _file(self, path: Path) -> h5py.File:
        if self._process != os.getpid():  # a forked worker must not share file positions
            self._open, self._process = {}, os.getpid()
        if path not in self._open:
            self._open[path] = open_file(path)
        return self._open[path]


def _native(values: np.ndarray) -> np.ndarray:
    """Returns values in the byte order of this machine, in a type that torch has."""
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4:
        return values.astype(np.float32)
    with np.errstate(over="ignore"):
        return values.astype(np.float64)
