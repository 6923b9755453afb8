"""The shapes that `pcclust embed` describes: a dataset with its labels, or any files."""

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from pcclust.cli._many_shapes import names_in
from pcclust.data import (
    PointDataset,
    ReadFailure,
    find_files,
    open_dataset,
    stream_clouds,
)
from pcclust.data.dataset import NO_LABEL
from pcclust.data.named import MODELNETS, open_named
from pcclust.data.transforms import UnitSphere

HDF5 = (".h5", ".hdf5")


class NamedShape(NamedTuple):
    """One shape: its name, ``(P, 3)`` float32 points in the unit sphere, its label or -1."""

    name: str
    points: Tensor
    label: int


Read: TypeAlias = NamedShape | ReadFailure


class ShapeSource:
    """Shapes of equally many points, one after the other, from whatever the user names.

    A single dataset (an HDF5 file, a folder, or modelnet10 or modelnet40 in $PCCLUST_DATA) gives
    its labels, too; anything else is files, as `pcclust rri` takes them.

    Args:
        paths: as given.
        split: of a dataset that has splits.
        num_points: of every shape.
        seed: of the sampling.
        ignore: files and folders to leave out.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a split of something that has none, or shapes of too few points.
    """

    def __init__(
        self,
        paths: Sequence[str],
        split: str | None,
        num_points: int,
        seed: int,
        ignore: Collection[Path],
    ) -> None:
        self.num_points = num_points
        self.seed = seed
        self.dataset = _open(paths, split, num_points, seed)
        self.files: list[Path] = []
        if self.dataset is None:
            if split is not None:
                raise ValueError(f"--split {split} is for a single dataset, not for files")
            self.files = find_files(paths, ignore)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The name of each label."""
        return () if self.dataset is None else self.dataset.class_names

    def names(self) -> list[str]:
        """Returns the names of all shapes; of a file that cannot be read, its path."""
        if self.dataset is not None:
            return self.dataset.names
        return [name for file in self.files for name in names_in(file)]

    def read(self, skip: Collection[str], workers: int | None) -> Iterator[Read]:
        """Yields each shape that is not skipped, or why it could not be read."""
        if self.dataset is not None:
            yield from _read_dataset(self.dataset, skip)
            return
        for result in stream_clouds(
            self.files, self.num_points, self.seed, skip=skip, workers=workers
        ):
            if isinstance(result, ReadFailure):
                yield result
            else:
                yield _normalized(result.name, torch.tensor(result.points), NO_LABEL)


def _open(
    paths: Sequence[str], split: str | None, num_points: int, seed: int
) -> PointDataset | None:
    if len(paths) != 1:
        return None
    place = Path(paths[0])
    if paths[0] in MODELNETS and not place.exists():
        return open_named(paths[0], split, num_points=num_points)
    if place.is_dir() or (place.is_file() and place.suffix.lower() in HDF5):
        return open_dataset(place, split, num_points=num_points, seed=seed)
    return None


def _read_dataset(dataset: PointDataset, skip: Collection[str]) -> Iterator[Read]:
    labels = None if dataset.labels is None else dataset.labels.tolist()
    for index, name in enumerate(dataset.names):
        if name in skip:
            continue
        try:
            points = dataset.batch(torch.tensor([index]))[0]
        except (OSError, ValueError, ImportError, MemoryError) as error:
            yield ReadFailure(name, str(error))
            continue
        yield _normalized(name, points, NO_LABEL if labels is None else labels[index])


def _normalized(name: str, points: Tensor, label: int) -> Read:
    """Returns the shape in the unit sphere, unless it has no extent."""
    if bool((points == points[0]).all()):
        return ReadFailure(name, f"{name}: all its points coincide, so it has no shape")
    # In the precision it was read in, so that georeferenced coordinates keep their detail.
    return NamedShape(name, UnitSphere()(points[None])[0].float(), label)
