"""Turning any dataset into one compact HDF5 file: in parallel, resumable, bad files listed."""

import copy
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcclust._lock import locked_file
from pcclust.data._reader_processes import map_in_processes
from pcclust.data.dataset import PointDataset
from pcclust.data.hdf5_storage import BLOCK
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.data.layouts import FileStorage, shape_seed
from pcclust.data.partial_output import ChangedSettingsError, PartialFolder, partial_folder
from pcclust.data.streaming import FILES_PER_WORKER, PROCESS_DIED, ReadFailure
from pcclust.data.transforms import UnitSphere


@dataclass(frozen=True)
class Prepared:
    """What `prepare` made.

    Attributes:
        path: the HDF5 file.
        count: the shapes in it.
        failures: those that could not be read, and why.
    """

    path: Path
    count: int
    failures: list[ReadFailure]


class _Row(NamedTuple):
    points: np.ndarray | None
    reason: str


def prepare(
    dataset: PointDataset,
    out: Path,
    *,
    normalize: bool = True,
    resume: bool = False,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Prepared:
    """Writes all readable shapes of a dataset into one HDF5 file.

    Blocks of shapes are kept in the folder ``out`` + ".partial" until all are there, so that an
    interrupted run, even a killed one or one that met a full disk, can go on where it was. The file
    appears under its name only when it is complete.

    Args:
        dataset: for instance a `PointFolder`.
        out: the file.
        normalize: whether each shape is centred on its mean and scaled to the unit sphere.
        resume: whether to go on with what an interrupted run of the same settings has left.
        workers: processes that read meshes; 0 reads in this one; if None one a processor, and one
            for every 64 files.
        progress: told how many shapes are done, of how many.

    Raises:
        ValueError: no shape could be read, an interrupted run is there and is not to be resumed, or
            was begun from other shapes, or a negative number of workers.
        OSError: it cannot be written, for instance because the disk is full.
        OutputLockedError: another process prepares it.
    """
    if workers is not None and workers < 0:
        raise ValueError(f"workers={workers} must not be negative")
    if not out.absolute().parent.is_dir():
        raise FileNotFoundError(f"{out}: the folder {out.absolute().parent} does not exist")
    with locked_file(out):
        return _prepare(dataset, out, normalize, resume, workers, progress)


def _prepare(
    dataset: PointDataset,
    out: Path,
    normalize: bool,
    resume: bool,
    workers: int | None,
    progress: Callable[[int, int], None] | None,
) -> Prepared:
    blocks = _Blocks(out, dataset, normalize, resume)
    count = len(dataset)
    try:
        part = blocks.folder.part
        todo = [number for number in range(blocks.count) if not part(number).exists()]
        rows = [row for number in todo for row in blocks.rows(number)]
        done = count - len(rows)
        with closing(_read_rows(dataset, rows, normalize, workers)) as results:
            for number in todo:
                read = [next(results) for _ in blocks.rows(number)]
                blocks.save(number, read)
                done += len(read)
                if progress:
                    progress(done, count)
        return _assemble(dataset, out, blocks)
    except OSError as error:
        raise OSError(
            f"{out} could not be completed ({error.strerror or error}); what is done is kept in "
            f"{blocks.folder.path}: make room if the disk is full, and go on with --resume"
        ) from error


class _Blocks:
    """The folder of finished blocks, each a file of up to 64 shapes and their failures."""

    def __init__(self, out: Path, dataset: PointDataset, normalize: bool, resume: bool) -> None:
        self.shapes = len(dataset)
        self.count = -(-self.shapes // BLOCK)
        try:
            self.folder = PartialFolder(out, _plan(dataset, normalize), resume=resume)
        except ChangedSettingsError as error:
            raise ValueError(
                f"{partial_folder(out)} was begun from other files or settings; remove it to begin "
                "anew"
            ) from error

    def rows(self, number: int) -> range:
        return range(number * BLOCK, min((number + 1) * BLOCK, self.shapes))

    def save(self, number: int, read: Sequence[_Row]) -> None:
        """Stores the shapes of a block."""
        good = [row.points for row in read if row.points is not None]
        points = np.stack(good) if good else np.empty((0, 0, 3), np.float32)
        reasons = np.array([row.reason for row in read])
        self.folder.save({"points": points, "reasons": reasons}, number)

    def points(self) -> Iterator[np.ndarray]:
        """Yields the good shapes in groups of 64, the chunks of the file."""
        held = np.empty((0, 0, 3), np.float32)
        for points in self.folder.read("points"):
            held = np.concatenate([held, points]) if len(held) and len(points) else held
            held = held if len(held) else points
            while len(held) >= BLOCK:
                yield held[:BLOCK]
                held = held[BLOCK:]
        if len(held):
            yield held

    def reasons(self) -> list[str]:
        """Returns why each shape could not be read, "" for those that could."""
        return [str(reason) for block in self.folder.read("reasons") for reason in block]


def _plan(dataset: PointDataset, normalize: bool) -> dict[str, object]:
    """Returns what an interrupted run must have in common with the one that goes on."""
    digest = hashlib.sha256()
    storage = dataset.storage
    for name, row in zip(dataset.names, dataset.rows.tolist(), strict=True):
        state = _state(storage.paths[row]) if isinstance(storage, FileStorage) else None
        stamp = (name, *state) if state else (name, row)
        digest.update(json.dumps(stamp).encode())
    return {
        "shapes": digest.hexdigest(),
        "num_points": dataset.num_points,
        "seed": getattr(storage, "seed", None),
        "normalize": normalize,
    }


def _state(path: Path) -> tuple[int, int] | None:
    """Returns size and time of a file; None where there is none, which its reader then says."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_size, state.st_mtime_ns


def _read_rows(
    dataset: PointDataset, rows: Sequence[int], normalize: bool, workers: int | None
) -> Generator[_Row, None, None]:
    storage = dataset.storage
    if not isinstance(storage, FileStorage):  # HDF5 is read faster than processes start
        for row in rows:
            yield _guarded(
                partial(dataset.batch, torch.tensor([row])), dataset.names[row], normalize
            )
        return
    at = dataset.rows[list(rows)].tolist()
    files = [(storage.paths[row], shape_seed(storage.seed, row)) for row in at]
    # The processes need how to read, not the long list of what.
    reader = copy.copy(storage)
    reader.paths = []
    read_file = partial(_read_file, reader, normalize)
    if workers is None:
        workers = min(os.cpu_count() or 1, len(rows) // FILES_PER_WORKER)
    if workers == 0:
        yield from map(read_file, files)
        return
    with closing(map_in_processes(read_file, files, workers)) as results:
        for (path, _), result in zip(files, results, strict=True):
            yield result or _Row(None, f"{path}: {PROCESS_DIED}")


def _read_file(reader: FileStorage, normalize: bool, file: tuple[Path, int]) -> _Row:
    path, seed = file
    read = partial(reader.read_file, path, seed)
    return _guarded(lambda: torch.from_numpy(read())[None], str(path), normalize)


def _guarded(read: Callable[[], Tensor], name: str, normalize: bool) -> _Row:
    """Reads one shape as a batch of one, or says why it cannot be read."""
    try:
        points = read()
    except (OSError, ValueError, ImportError, MemoryError) as error:
        return _Row(None, str(error) or f"{name}: {type(error).__name__}")
    if not bool(torch.isfinite(points).all()):
        return _Row(None, f"{name}: holds NaN or inf")
    return _Row((UnitSphere()(points) if normalize else points)[0].numpy(), "")


def _assemble(dataset: PointDataset, out: Path, blocks: _Blocks) -> Prepared:
    reasons = blocks.reasons()
    good = [row for row, reason in enumerate(reasons) if not reason]
    failures = [ReadFailure(dataset.names[row], why) for row, why in enumerate(reasons) if why]
    if not good:
        blocks.folder.remove()
        raise ValueError(
            f"none of {len(reasons)} shapes could be read; first: {failures[0].reason}"
        )
    write_hdf5(
        out,
        blocks.points(),
        count=len(good),
        num_points=dataset.num_points,
        names=[dataset.names[row] for row in good],
        labels=None if dataset.labels is None else dataset.labels[good].numpy(),
        class_names=dataset.class_names,
        up_axis=dataset.up_axis,
    )
    blocks.folder.remove()
    return Prepared(out, len(good), failures)
