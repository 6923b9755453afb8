"""The shapes that a user names: a dataset with its labels, or any files."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import torch

from pcclust.data.assumed_up import assumed_up
from pcclust.data.dataset import NO_LABEL, PointDataset, UpAxis
from pcclust.data.layouts import FileStorage
from pcclust.data.named import is_named, open_named
from pcclust.data.streaming import (
    NamedCloud,
    ReadFailure,
    ReadResult,
    find_files,
    name_clouds,
    stream_clouds,
)

HDF5 = (".h5", ".hdf5")
Shape = TypeVar("Shape")


class ShapeSource:
    """Shapes one after the other, from whatever the user names.

    A single dataset gives its labels, too; anything else is files, as `find_files` takes them.

    Args:
        paths: as given.
        split: of a dataset that has splits.
        num_points: of every shape; all that a cloud has if None.
        seed: of the sampling.
        ignore: files and folders to leave out.
        labelled: whether a single folder or HDF5 file is opened as a dataset; if not, only a
            dataset's name is.

    Attributes:
        num_points: as given.
        dataset: None for files.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a split of something that has none, or shapes of too few points.
    """

    def __init__(
        self,
        paths: Sequence[str],
        *,
        split: str | None = None,
        num_points: int | None = None,
        seed: int = 0,
        ignore: Collection[Path] = (),
        labelled: bool = False,
    ) -> None:
        self.num_points = num_points
        self.seed = seed
        self.dataset: PointDataset | None = None
        self.files: list[Path] = []
        if len(paths) == 1 and _is_dataset(paths[0], labelled):
            self.dataset = open_named(paths[0], split, num_points=num_points, seed=seed)
        elif split is not None:
            raise ValueError(f"--split {split} is for a single dataset, not for files")
        else:
            self.files = find_files(paths, ignore)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label."""
        return () if self.dataset is None else self.dataset.class_names

    @property
    def up_axis(self) -> UpAxis | None:
        """The axis against gravity, as the data say or their format has it; None if not known."""
        if self.dataset is not None:
            return self.dataset.up_axis
        return assumed_up(self.files[0].parent, self.files)

    def names(self) -> list[str]:
        """Returns the names of all shapes; of a file that cannot be read, its path."""
        if self.dataset is not None:
            return self.dataset.names
        return [name for file in self.files for name in _names_in(file)]

    def labels(self) -> dict[str, int]:
        """Returns the labels by name; -1 for shapes without."""
        if self.dataset is None or self.dataset.labels is None:
            return dict.fromkeys(self.names(), NO_LABEL)
        return dict(zip(self.dataset.names, self.dataset.labels.tolist(), strict=True))

    def read(self, skip: Collection[str], workers: int | None) -> Generator[ReadResult, None, None]:
        """Yields each shape that is not skipped, or why it could not be read."""
        if self.dataset is not None:
            kept = [i for i, name in enumerate(self.dataset.names) if name not in skip]
            yield from read_each(self.dataset.subset(kept))
            return
        stream = stream_clouds(self.files, self.num_points, self.seed, skip=skip, workers=workers)
        with closing(stream):
            yield from stream


def read_each(dataset: PointDataset) -> Iterator[ReadResult]:
    """Yields the shapes of a dataset one after the other, or why one could not be read."""
    for index, name in enumerate(dataset.names):
        try:
            yield NamedCloud(name, dataset.batch(torch.tensor([index]))[0].numpy())
        except (OSError, ValueError, ImportError, MemoryError) as error:
            yield ReadFailure(name, str(error))


def load_readable(
    dataset: PointDataset, progress: Callable[[int, int], object] = lambda done, total: None
) -> tuple[PointDataset, tuple[ReadFailure, ...]]:
    """Reads all shapes that can be read.

    Args:
        dataset: of files, or of anything else, which is read at once.
        progress: is told how many shapes are done, of how many.

    Returns:
        These shapes in memory, and why the others could not be read.

    Raises:
        ValueError: no shape can be read.
    """
    if not isinstance(dataset.storage, FileStorage):
        try:
            return dataset.load(), ()
        except ValueError:  # of one shape, which spoils no other
            pass
    points, kept, failures = [], [], []
    for index, result in enumerate(read_each(dataset)):
        if isinstance(result, ReadFailure):
            failures.append(result)
        else:
            points.append(torch.from_numpy(result.points))
            kept.append(index)
        progress(index + 1, len(dataset))
    if not points:
        raise ValueError(f"none of {len(dataset)} shapes could be read: {failures[0].reason}")
    return dataset.subset(kept).with_points(torch.stack(points)), tuple(failures)


def in_batches(
    results: Iterable[Shape | ReadFailure], full: Callable[[list[Shape]], bool]
) -> Iterator[tuple[list[Shape], list[ReadFailure]]]:
    """Groups shapes until a batch is full, with the failures met on the way."""
    shapes: list[Shape] = []
    failures: list[ReadFailure] = []
    for result in results:
        if isinstance(result, ReadFailure):
            failures.append(result)
        else:
            shapes.append(result)
        if full(shapes):
            yield shapes, failures
            shapes, failures = [], []
    if shapes or failures:
        yield shapes, failures


def in_fixed_batches(
    results: Iterable[NamedCloud | ReadFailure], names: Sequence[str], batch_size: int
) -> Iterator[tuple[list[NamedCloud], list[ReadFailure]]]:
    """Groups shapes by their places among all, with the failures among them.

    So a shape is described beside the same others whatever cannot be read, was described before,
    or is described elsewhere: matrix products round a row by how many there are.

    Args:
        results: in the order of the names; some may be left out.
        names: of all shapes.
        batch_size: of a batch in which none is missing.

    Raises:
        ValueError: ``batch_size`` is not positive.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size={batch_size} must be at least 1")
    batch = {name: place // batch_size for place, name in enumerate(names)}
    for _, group in groupby(results, lambda result: batch.get(result.name)):
        shapes: list[NamedCloud] = []
        failures: list[ReadFailure] = []
        for result in group:
            if isinstance(result, ReadFailure):
                failures.append(result)
            else:
                shapes.append(result)
        yield shapes, failures


def _is_dataset(path: str, labelled: bool) -> bool:
    place = Path(path)
    if not place.exists():
        return is_named(path)
    return labelled and (place.is_dir() or place.suffix.lower() in HDF5)


def _names_in(file: Path) -> list[str]:
    try:
        return name_clouds(file)
    except (ValueError, OSError):  # reported with its reason when its turn comes to be read
        return [file.as_posix()]
