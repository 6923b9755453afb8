"""Any folder of meshes or clouds as a dataset."""

import os
from pathlib import Path

from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.layouts import FileStorage, LayoutError, Request, describe_folder
from pcclust.data.readers import SUFFIXES

# One file of these may hold many shapes: they are datasets of their own.
SHAPE_SUFFIXES = frozenset(SUFFIXES) - {".h5", ".hdf5"}


class PointFolder(PointDataset):
    """The meshes and clouds of a folder; its sub-folders are the classes.

    A folder that holds files only, without sub-folders, is a dataset without labels. Names are
    paths relative to the folder. Meshes are sampled uniformly by area when they are read.

    Args:
        root: the folder.
        num_points: the points of every shape.
        seed: of the sampling; each shape comes out the same in whatever order they are read.
        labelled: whether sub-folders are classes; if None, they are where there are any and no
            file lies beside them.
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
        up_axis: UpAxis | None = None,
    ) -> None:
        folder = Path(root)
        paths = shape_files(folder)
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


def shape_files(folder: Path) -> list[Path]:
    """Returns all files of shapes under a folder, sorted.

    Raises:
        FileNotFoundError: there is no such folder.
        LayoutError: there are none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist")
    paths = sorted(path for path in folder.rglob("*") if _is_shape(path.relative_to(folder), path))
    if not paths:
        raise LayoutError(
            f"{folder} holds no shapes ({' '.join(sorted(SHAPE_SUFFIXES))}). "
            f"Found: {describe_folder(folder)}"
        )
    return paths


def _is_shape(relative: Path, path: Path) -> bool:
    hidden = any(part.startswith(".") for part in relative.parts)
    return not hidden and path.suffix.lower() in SHAPE_SUFFIXES and path.is_file()


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


def _read_folder(folder: Path, request: Request) -> PointDataset:
    return PointFolder(folder, num_points=request.num_points, seed=request.seed)
