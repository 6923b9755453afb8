"""ScanObjectNN (Uy et al., ICCV 2019): scanned objects of 15 classes, in its HDF5 variants."""

import os
from pathlib import Path
from typing import Literal, get_args

from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.hdf5 import dataset_of_files, inspect_hdf5
from pcclust.data.layouts import Layout, LayoutError, Request, data_root, find_layout, require_split

_NAMES = "bag bin box cabinet chair desk display door shelf table bed pillow sink sofa toilet"
CLASS_NAMES = _NAMES.split()
Variant = Literal["OBJ_ONLY", "OBJ_BG", "PB_T25", "PB_T25_R", "PB_T50_R", "PB_T50_RS"]
FILE_OF_VARIANT: dict[Variant, tuple[str, str]] = {
    "OBJ_ONLY": ("main_split_nobg", ""),
    "OBJ_BG": ("main_split", ""),
    "PB_T25": ("main_split", "_augmented25_norot"),
    "PB_T25_R": ("main_split", "_augmented25rot"),
    "PB_T50_R": ("main_split", "_augmentedrot"),
    "PB_T50_RS": ("main_split", "_augmentedrot_scale75"),
}
FILE_OF_SPLIT = {"train": "training", "test": "test"}
FOLDERS = ("h5_files", "ScanObjectNN/h5_files", "scanobjectnn/h5_files", "ScanObjectNN")


class ScanObjectNN(PointDataset):
    """ScanObjectNN in the official ``h5_files``; gravity is y.

    Args:
        root: the dataset's folder, or a folder of datasets; $PCCLUST_DATA if None.
        variant: which objects: alone, with background, or perturbed (PB) by a shift of 25 or 50 %
            of their size, with rotation (R) and scaling (S). PB_T50_RS is the hardest.
        split: "train" or "test".
        num_points: the first so many of the 2,048 points.
        background: of PB variants, whether the background stays (``main_split``) or not
            (``main_split_nobg``).
        up_axis: the axis against gravity.

    Raises:
        FileNotFoundError: there is no such root or file.
        LayoutError: the root holds another layout.
        ValueError: another variant or split, or more points than the shapes have.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        variant: Variant = "PB_T50_RS",
        split: Literal["train", "test"] = "train",
        *,
        num_points: int = 1024,
        background: bool = True,
        up_axis: UpAxis = "y",
    ) -> None:
        if variant not in FILE_OF_VARIANT:
            variants = ", ".join(get_args(Variant))
            raise ValueError(f"ScanObjectNN has the variants {variants}; got {variant!r}")
        require_split("ScanObjectNN", split, tuple(FILE_OF_SPLIT))
        _, folder = find_layout("ScanObjectNN", data_root(root), FOLDERS, LAYOUTS)
        group, suffix = FILE_OF_VARIANT[variant]
        group = group if background else "main_split_nobg"
        path = folder / group / f"{FILE_OF_SPLIT[split]}_objectdataset{suffix}.h5"
        found = _read(path, Request(split, num_points, 0))
        super().__init__(found.storage, found.labels, found.names, found.class_names, up_axis)


def _read(path: Path, request: Request) -> PointDataset:
    file = inspect_hdf5(path)
    if file.labels is None:
        raise LayoutError(f"ScanObjectNN: {path} has no `label`")
    return dataset_of_files([file], request.num_points, CLASS_NAMES, "y")


def _read_hardest(folder: Path, request: Request) -> PointDataset:
    group, suffix = FILE_OF_VARIANT["PB_T50_RS"]
    stem = f"{FILE_OF_SPLIT.get(request.split, request.split)}_objectdataset{suffix}"
    return _read(folder / group / f"{stem}.h5", request)


LAYOUTS = (
    Layout(
        "h5_files: main_split/ and main_split_nobg/ with training_objectdataset*.h5 and "
        "test_objectdataset*.h5",
        lambda folder: any((folder / f"main_split{suffix}").is_dir() for suffix in ("", "_nobg")),
        _read_hardest,
    ),
)
