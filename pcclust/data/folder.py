"""Any folder of meshes or clouds as a dataset."""

import os
from collections.abc import Collection
from pathlib import Path

from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.layouts import FileStorage, LayoutError, describe_folder
from pcclust.data.streaming import FOLDER_SUFFIXES

# HDF5 files of many shapes are datasets of their own, see `pcclust.data.open_dataset`.
SHAPE_SUFFIXES = FOLDER_SUFFIXES - {".h5", ".hdf5"}


class PointFolder(PointDataset):
    """The meshes and clouds of a folder; its sub-folders are the classes.

    A folder that holds files only, without sub-folders, is a dataset without labels. Names are
    paths relative to the folder. Meshes are sampled uniformly by area when they are read. TXT and
    CSV files, which often are notes, count only where ``suffixes`` names them.

    Args:
        root: the folder.
        num_points: the points of every shape.
        seed: of the sampling; each shape comes out the same in whatever order they are read.
        labelled: whether sub-folders are classes; if None, they are where there are any and no
            file lies beside them.
        suffixes: the endings of the files that are shapes.
        up_axis: the axis against gravity, if known.

    Raises:
        FileNotFoundError: there is no such folder.
        LayoutError: no shapes in it, a class without shapes, or shapes beside class folders.

    Example:
        >>> from pcclust.data import PointFolder
        >>> shapes = PointFolder("scans", num_points=2048, up_axis="z")  # doctest: +SKIP
        >>> shapes.counts()  # doctest: +SKIP
        {'chair': 12, 'table': 7}
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        *,
        num_points: int = 1024,
        seed: int = 0,
        labelled: bool | None = None,
        suffixes: Collection[str] = SHAPE_SUFFIXES,
        up_axis: UpAxis | None = None,
    ) -> None:
        folder = Path(root)
        paths = shape_files(folder, suffixes)
        names = [path.relative_to(folder).as_posix() for path in paths]
        storage = FileStorage(paths, num_points, seed)
        if labelled is None:
            labelled = any(entry.is_dir() for entry in _visible(folder))
        if not labelled:
            super().__init__(storage, None, names, (), up_axis)
            return
        class_names = _class_names(folder, names)
        labels = [class_names.index(name.split("/")[0]) for name in names]
        super().__init__(storage, labels, names, class_names, up_axis)


def shape_files(folder: Path, suffixes: Collection[str] = SHAPE_SUFFIXES) -> list[Path]:
    """Returns all files of shapes under a folder, sorted.

    Args:
        folder: searched at all levels; hidden files and folders are passed over.
        suffixes: the endings of the files that are shapes.

    Raises:
        FileNotFoundError: there is no such folder.
        LayoutError: there are none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist")
    known = frozenset(suffixes)
    paths = sorted(path for path in folder.rglob("*") if _is_shape(folder, path, known))
    if not paths:
        raise LayoutError(
            f"{folder} holds no shapes ({' '.join(sorted(known))}). "
            f"Found: {describe_folder(folder)}"
        )
    return paths


def _is_shape(folder: Path, path: Path, suffixes: frozenset[str]) -> bool:
    if path.suffix.lower() not in suffixes or not path.is_file():
        return False
    return not any(part.startswith(".") for part in path.relative_to(folder).parts)


def _visible(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _class_names(folder: Path, names: list[str]) -> list[str]:
    loose = [name for name in names if "/" not in name]
    if loose:
        raise LayoutError(
            f"{folder}: {len(loose)} shapes, first {loose[0]}, lie beside class folders; move them "
            "into one, or give labelled=False to ignore the folders"
        )
    used = {name.split("/")[0] for name in names}
    for entry in _visible(folder):
        if entry.is_dir() and entry.name not in used:
            raise LayoutError(
                f"{folder}: the class folder {entry.name} holds no shapes. "
                f"Found: {describe_folder(entry)}"
            )
    return sorted(used)
