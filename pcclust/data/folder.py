"""Any folder of meshes or clouds as a dataset."""

import os
from collections.abc import Collection
from pathlib import Path

from pcclust.data.assumed_up import assumed_up
from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.layouts import FileStorage, LayoutError, describe_folder
from pcclust.data.split_folder import SHAPE_SUFFIXES, split_level
from pcclust.data.walk import find_shapes, unwrapped, visible_folders


class PointFolder(PointDataset):
    """The meshes and clouds of a folder; its sub-folders are the classes.

    A folder that holds files only, without sub-folders, is a dataset without labels. Names are
    paths relative to the folder; links are followed. Meshes are sampled uniformly by area when they
    are read. TXT and CSV files, which often are notes, and HDF5 files, which are datasets of their
    own, count only where ``suffixes`` names them; a `DataWarning` counts what was passed over.

    Args:
        root: the folder.
        num_points: the points of every shape.
        seed: of the sampling; each shape comes out the same in whatever order they are read.
        labelled: whether sub-folders are classes; if None, they are where there are any and no
            file lies beside them.
        suffixes: the endings of the files that are shapes.
        up_axis: the axis against gravity; if None, y where all files are glTF, which says so, or
            OBJ, of which a `DataWarning` says that it is assumed, and unknown where others are.

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
        if labelled is None and folder.is_dir():
            folder = unwrapped(folder, suffixes)
            _refuse_splits(folder)
        paths = shape_files(folder, suffixes)
        names = [path.relative_to(folder).as_posix() for path in paths]
        storage = FileStorage(paths, num_points, seed)
        up_axis = up_axis or assumed_up(folder, paths)
        if labelled is None:
            labelled = bool(visible_folders(folder))
        if not labelled:
            super().__init__(storage, None, names, (), up_axis)
            return
        class_names = _class_names(folder, names)
        labels = [class_names.index(name.split("/")[0]) for name in names]
        super().__init__(storage, labels, names, class_names, up_axis)


def shape_files(folder: Path, suffixes: Collection[str] = SHAPE_SUFFIXES) -> list[Path]:
    """Returns all files of shapes under a folder, sorted.

    Args:
        folder: searched as `find_shapes` does.
        suffixes: the endings of the files that are shapes.

    Raises:
        FileNotFoundError: there is no such folder.
        LayoutError: there are none.
    """
    if not folder.is_dir():
        raise FileNotFoundError(f"the folder {folder} does not exist")
    paths = find_shapes(folder, suffixes)
    if not paths:
        raise LayoutError(
            f"{folder} holds no shapes ({' '.join(sorted(suffixes))}). "
            f"Found: {describe_folder(folder)}. TXT and CSV count where suffixes names them"
        )
    return paths


def _refuse_splits(folder: Path) -> None:
    if split_level(folder) is not None:
        raise LayoutError(
            f"{folder}: folders in it are called train or test, which are splits and no classes; "
            "give pcclust.data.open_dataset a split, name the folder of one split, or give labelled"
        )


def _class_names(folder: Path, names: list[str]) -> list[str]:
    loose = [name for name in names if "/" not in name]
    if loose:
        raise LayoutError(
            f"{folder}: {len(loose)} shapes, first {loose[0]}, lie beside class folders; move them "
            "into one, or give labelled=False to ignore the folders"
        )
    used = {name.split("/")[0] for name in names}
    for entry in visible_folders(folder):
        if entry.name not in used:
            raise LayoutError(
                f"{folder}: the class folder {entry.name} holds no shapes. "
                f"Found: {describe_folder(entry)}"
            )
    return sorted(used)
