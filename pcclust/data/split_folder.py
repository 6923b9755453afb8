"""Folders of shapes whose levels are splits and classes: train/chair/a.obj or chair/train/a.obj."""

from pathlib import Path

from pcclust.data.assumed_up import assumed_up
from pcclust.data.dataset import PointDataset
from pcclust.data.layouts import FileStorage, Layout, LayoutError, Request
from pcclust.data.streaming import FOLDER_SUFFIXES
from pcclust.data.walk import find_shapes, visible_folders

SHAPE_SUFFIXES = FOLDER_SUFFIXES - {".h5", ".hdf5"}
SPLITS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "dev": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}


def split_level(folder: Path) -> int | None:
    """Returns at which level folders are splits: 0, the first, or 1, below classes; or None."""
    first = visible_folders(folder)
    if first and all(entry.name.lower() in SPLITS for entry in first):
        return 0
    below = [visible_folders(entry) for entry in first]
    if first and all(inner and all(e.name.lower() in SPLITS for e in inner) for inner in below):
        return 1
    return None


def _read(folder: Path, request: Request) -> PointDataset:
    level = split_level(folder)
    paths, labels, names = [], [], []
    classes: set[str] = set()
    for path in find_shapes(folder, SHAPE_SUFFIXES):
        parts = path.relative_to(folder).parts
        if len(parts) < 3:
            raise LayoutError(
                f"{folder}: {Path(*parts)} lies beside the folders of splits and classes; move it "
                "into one, or open the folder of a split by itself"
            )
        split, label = parts[int(level or 0)], parts[1 - int(level or 0)]
        classes.add(label)
        if SPLITS[split.lower()] == request.split:
            paths.append(path)
            labels.append(label)
            names.append(path.relative_to(folder).as_posix())
    if not paths:
        raise LayoutError(f"{folder} has no shapes of the split {request.split!r}")
    known = sorted(classes)
    storage = FileStorage(paths, request.num_points, request.seed)
    rows = [known.index(label) for label in labels]
    return PointDataset(storage, rows, names, known, assumed_up(folder, paths))


def _matches(folder: Path) -> bool:
    """Whether there are splits of classes; without classes, a folder is no dataset with labels."""
    level = split_level(folder)
    if level == 0:
        return all(visible_folders(entry) for entry in visible_folders(folder))
    return level == 1


LAYOUTS = (
    Layout("folders of classes below train/ and test/, or these below classes", _matches, _read),
)
