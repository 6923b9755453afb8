"""ModelNet10 and ModelNet40 (Wu et al., CVPR 2015) in the layouts in circulation."""

import json
import os
from pathlib import Path
from typing import Literal

from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.hdf5 import dataset_of_files, inspect_hdf5
from pcclust.data.hdf5_storage import Hdf5File
from pcclust.data.layouts import (
    FileStorage,
    Layout,
    LayoutError,
    Request,
    TableStorage,
    data_root,
    find_layout,
    require_files,
    require_split,
)

_NAMES = (
    "airplane bathtub bed bench bookshelf bottle bowl car chair cone cup curtain desk door dresser "
    "flower_pot glass_box guitar keyboard lamp laptop mantel monitor night_stand person piano "
    "plant radio range_hood sink sofa stairs stool table tent toilet tv_stand vase wardrobe xbox"
)
_NAMES_OF_10 = "bathtub bed chair desk dresser monitor night_stand sofa table toilet"
MODELNET40 = _NAMES.split()
MODELNET10 = _NAMES_OF_10.split()
CLASSES = {10: MODELNET10, 40: MODELNET40}
SPLITS = ("train", "test")


class ModelNet(PointDataset):
    """ModelNet40, or its 10-class subset, in any layout in circulation.

    Recognised are the OFF tree of Princeton (sampled on reading), ``modelnet40_ply_hdf5_2048``,
    ``modelnet40_normal_resampled``, and one HDF5 file per split. Of point files the first
    ``num_points`` are taken, as published pipelines do.

    Args:
        root: the dataset's folder, or a folder of datasets; $PCCLUST_DATA if None.
        classes: 10 or 40.
        split: "train" or "test".
        num_points: the points of every shape.
        seed: of the sampling of meshes.
        up_axis: the axis against gravity; if None what the file says, else what the layout has:
            y in ``modelnet40_ply_hdf5_2048`` and ``modelnet40_normal_resampled``, z otherwise.

    Raises:
        FileNotFoundError: there is no such root.
        LayoutError: the root holds none of the layouts, or a part of one.
        ValueError: another split or number of classes, or more points than the shapes have.

    Example:
        >>> from pcclust.data import ModelNet
        >>> test = ModelNet(classes=10, split="test")  # doctest: +SKIP
        >>> len(test), test.up_axis, test.class_names[:3]  # doctest: +SKIP
        (908, 'z', ('bathtub', 'bed', 'chair'))
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        classes: Literal[10, 40] = 40,
        split: Literal["train", "test"] = "train",
        *,
        num_points: int = 1024,
        seed: int = 0,
        up_axis: UpAxis | None = None,
    ) -> None:
        if classes not in CLASSES:
            raise ValueError(f"ModelNet has 10 or 40 classes, got classes={classes!r}")
        name = f"ModelNet{classes}"
        require_split(name, split, SPLITS)
        folders = [*FOLDERS[classes], *FOLDERS[40]] if classes == 10 else FOLDERS[40]
        layout, folder = find_layout(name, data_root(root), folders, LAYOUTS)
        found = layout.read(folder, Request(split, num_points, seed))
        missing = set(CLASSES[classes]) - set(found.class_names)
        if missing:
            raise LayoutError(
                f"{name}: {folder} has {len(found.class_names)} classes and lacks "
                f"{', '.join(sorted(missing)[:5])}"
            )
        chosen = found.select_classes(CLASSES[classes])
        axis = up_axis or found.up_axis or "z"
        super().__init__(
            found.storage, chosen.labels, chosen.names, chosen.class_names, axis, rows=chosen.rows
        )


FOLDERS = {
    10: ("modelnet10", "ModelNet10"),
    40: (
        "modelnet40",
        "modelnet40_ply_hdf5_2048",
        "modelnet40_normal_resampled",
        "ModelNet40",
    ),
}


def _read_one_file(folder: Path, request: Request) -> PointDataset:
    return dataset_of_files([inspect_hdf5(folder / f"{request.split}.h5")], request.num_points)


def _read_ply_hdf5(folder: Path, request: Request) -> PointDataset:
    listing = folder / f"{request.split}_files.txt"
    # The lists name data/modelnet40_ply_hdf5_2048/…, wherever the files were unpacked.
    paths = [folder / Path(line).name for line in listing.read_text().split()]
    require_files("ModelNet40", listing, paths)
    files = [_with_names(inspect_hdf5(path)) for path in paths]
    class_names = (folder / "shape_names.txt").read_text().split()
    return dataset_of_files(files, request.num_points, class_names, "y")


def _with_names(file: Hdf5File) -> Hdf5File:
    split, number = file.path.stem.removeprefix("ply_data_"), ""
    while split and split[-1].isdigit():
        split, number = split[:-1], split[-1] + number
    listing = file.path.with_name(f"ply_data_{split}_{number}_id2file.json")
    if not listing.is_file():
        return file
    names = [Path(entry).stem for entry in json.loads(listing.read_text())]
    return file._replace(names=names if len(names) == file.num_shapes else None)


def _read_tables(folder: Path, request: Request) -> PointDataset:
    listing = folder / f"modelnet40_{request.split}.txt"
    names = listing.read_text().split()
    class_names = (folder / "modelnet40_shape_names.txt").read_text().split()
    of_shape = [name.rsplit("_", 1)[0] for name in names]
    unknown = sorted(set(of_shape) - set(class_names))
    if unknown:
        raise LayoutError(f"ModelNet40: {listing} names shapes of no known class: {unknown[0]!r}")
    paths = [folder / kind / f"{name}.txt" for kind, name in zip(of_shape, names, strict=True)]
    require_files("ModelNet40", listing, paths)
    storage = TableStorage(paths, request.num_points, request.seed, delimiter=",")
    labels = [class_names.index(kind) for kind in of_shape]
    return PointDataset(storage, labels, names, class_names, "y")


def _read_off_tree(folder: Path, request: Request) -> PointDataset:
    class_names = _off_classes(folder)
    paths, labels = [], []
    for label, kind in enumerate(class_names):
        of_class = sorted((folder / kind / request.split).glob("[!.]*.off"))
        if not of_class:
            raise LayoutError(
                f"ModelNet: {folder / kind / request.split} has no OFF file; the archive was not "
                "unpacked whole"
            )
        paths += of_class
        labels += [label] * len(of_class)
    storage = FileStorage(paths, request.num_points, request.seed)
    return PointDataset(storage, labels, [path.stem for path in paths], class_names, "z")


def _off_classes(folder: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if any((entry / split).is_dir() for split in SPLITS)
    )


LAYOUTS = (
    Layout(
        "train.h5 and test.h5 with `data` (N, P, 3), `label` and the attribute class_names",
        lambda folder: (folder / "train.h5").is_file() or (folder / "test.h5").is_file(),
        _read_one_file,
    ),
    Layout(
        "modelnet40_ply_hdf5_2048: train_files.txt, test_files.txt, shape_names.txt, ply_data_*.h5",
        lambda folder: (folder / "train_files.txt").is_file(),
        _read_ply_hdf5,
    ),
    Layout(
        "modelnet40_normal_resampled: modelnet40_train.txt, modelnet40_shape_names.txt, "
        "<class>/<name>.txt",
        lambda folder: (folder / "modelnet40_train.txt").is_file(),
        _read_tables,
    ),
    Layout(
        "the OFF tree: <class>/train/*.off and <class>/test/*.off",
        # A folder of datasets may well hold folders of the same names, but no such files.
        lambda folder: any(any(folder.glob(f"*/{split}/[!.]*.off")) for split in SPLITS),
        _read_off_tree,
    ),
)
