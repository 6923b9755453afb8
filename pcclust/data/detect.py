"""Opening a dataset of any known layout by its folder or file."""

import os
from pathlib import Path

from pcclust._names import nearest_path
from pcclust.data import modelnet, scanobjectnn, shapenet, split_folder
from pcclust.data.dataset import PointDataset
from pcclust.data.folder import PointFolder
from pcclust.data.hdf5 import dataset_of_files, inspect_hdf5
from pcclust.data.layouts import LayoutError, Request
from pcclust.data.walk import unwrapped, visible_folders

LAYOUTS = (
    *modelnet.LAYOUTS,
    *shapenet.PART_LAYOUTS,
    *shapenet.CORE_LAYOUTS,
    *scanobjectnn.LAYOUTS,
    *split_folder.LAYOUTS,
)
SPLITS = ("train", "val", "test")


def open_dataset(
    path: str | os.PathLike[str],
    split: str | None = None,
    *,
    num_points: int | None = None,
    seed: int = 0,
) -> PointDataset:
    """Opens whatever dataset is there: an HDF5 file, a known dataset's folder, or any folder.

    Args:
        path: an HDF5 file as `pcclust data prepare` writes it, the folder of ModelNet,
            ShapeNetPart, ShapeNetCore or ScanObjectNN (its hardest variant) in one of its layouts,
            or a folder of meshes and clouds.
        split: of a dataset that has splits; "train" if None.
        num_points: the points of every shape; if None all of an HDF5 file's, and 1,024 else.
        seed: of the sampling.

    Raises:
        FileNotFoundError: nothing is there, or no such split.
        LayoutError: a folder without any shape.
        ValueError: a split asked of a dataset without splits, or too many points.

    Example:
        >>> from pcclust.data import open_dataset
        >>> open_dataset("shapes.h5").class_names  # doctest: +SKIP
        ('chair', 'table')
    """
    place = Path(path)
    if not place.exists():
        raise FileNotFoundError(f"{place} does not exist{nearest_path(place)}")
    if place.is_file():
        return _open_file(place, split, num_points)
    place = _unwrapped(place)
    for layout in LAYOUTS:
        if layout.matches(place):
            return layout.read(place, Request(split or "train", num_points or 1024, seed))
    if split is not None and split not in SPLITS:
        raise ValueError(f"split={split!r} is none of {', '.join(SPLITS)}")
    if split is not None:
        raise LayoutError(
            f"{place} is a folder of shapes without splits; leave split={split!r} out"
        )
    return PointFolder(place, num_points=num_points or 1024, seed=seed)


def _unwrapped(place: Path) -> Path:
    """Returns the folder of a known dataset, or of classes, in others that only wrap it."""
    if _is_known(place):
        return place
    inside = visible_folders(place)
    if len(inside) == 1 and _is_known(inside[0]):
        return inside[0]
    return unwrapped(place, split_folder.SHAPE_SUFFIXES)


def _is_known(folder: Path) -> bool:
    return any(layout.matches(folder) for layout in LAYOUTS)


def _open_file(path: Path, split: str | None, num_points: int | None) -> PointDataset:
    if split is not None:
        raise ValueError(f"{path} is one file without splits; leave split={split!r} out")
    if path.suffix.lower() in split_folder.SHAPE_SUFFIXES | {".txt", ".csv"}:
        raise ValueError(
            f"{path} is a single file, but a dataset is an HDF5 file or a folder of shapes: give "
            "the folder it lies in"
        )
    return dataset_of_files([inspect_hdf5(path)], num_points)
