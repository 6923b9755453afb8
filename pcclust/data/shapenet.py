"""ShapeNetPart (Yi et al. 2016) and ShapeNetCore (Chang et al. 2015)."""

import csv
import json
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

from pcclust.data.dataset import PointDataset, UpAxis
from pcclust.data.hdf5 import dataset_of_files, inspect_hdf5
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
from pcclust.data.measured import DataWarning

SPLITS = ("train", "val", "test")
PART_FOLDERS = (
    "hdf5_data",
    "shapenet_part_seg_hdf5_data",
    "shapenetcore_partanno_segmentation_benchmark_v0_normal",
    "shapenetpart",
)
CORE_FOLDERS = ("ShapeNetCore.v2", "ShapeNetCore.v1", "ShapeNetCore", "shapenetcore")
Absent: TypeAlias = Literal["error", "few", "skip"]
Model: TypeAlias = tuple[str, str]  # a synset, and a model of it
MOST_ABSENT = 0.05  # of the models that a list names
MODEL_FILES = ("models/model_normalized.obj", "model.obj", "model_normalized.obj")


class ShapeNetPart(PointDataset):
    """ShapeNetPart: 16 classes, each point with its part; gravity is y.

    Recognised are the text tree with its split JSONs
    (``shapenetcore_partanno_segmentation_benchmark_v0_normal``), of which points are drawn, and
    ``hdf5_data``, of which the first ``num_points`` are taken. `part_labels` gives the parts.

    Args:
        root: the dataset's folder, or a folder of datasets; $PCCLUST_DATA if None.
        split: "train", "val" or "test".
        num_points: the points of every shape, at most 2,048 in ``hdf5_data``.
        seed: of the drawing from the text tree.
        up_axis: the axis against gravity.

    Raises:
        FileNotFoundError: there is no such root.
        LayoutError: the root holds none of the layouts, or a list names absent files.
        ValueError: another split, or a shape with fewer points than asked for.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: Literal["train", "val", "test"] = "train",
        *,
        num_points: int = 1024,
        seed: int = 0,
        up_axis: UpAxis = "y",
    ) -> None:
        require_split("ShapeNetPart", split, SPLITS)
        layout, folder = find_layout("ShapeNetPart", data_root(root), PART_FOLDERS, PART_LAYOUTS)
        found = layout.read(folder, Request(split, num_points, seed))
        super().__init__(found.storage, found.labels, found.names, found.class_names, up_axis)


class ShapeNetCore(PointDataset):
    """ShapeNetCore v1 or v2: 55 classes (57 in v1) of OBJ meshes, sampled on reading; gravity is y.

    Args:
        root: the dataset's folder, or a folder of datasets; $PCCLUST_DATA if None.
        split: "train", "val" or "test", which need the official ``all.csv``; or "all".
        num_points: the points of every shape.
        seed: of the sampling.
        absent: what becomes of models that the CSV names and the folder lacks, since v2 left out
            some models of v1, for which the CSV was made: "few" leaves out up to one in twenty with
            a warning, "skip" any number, and "error" none.
        up_axis: the axis against gravity.

    Raises:
        FileNotFoundError: there is no such root.
        LayoutError: the root holds another layout, or the CSV names absent models, too many.
        ValueError: another split.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        split: Literal["train", "val", "test", "all"] = "train",
        *,
        num_points: int = 1024,
        seed: int = 0,
        absent: Absent = "few",
        up_axis: UpAxis = "y",
    ) -> None:
        require_split("ShapeNetCore", split, (*SPLITS, "all"))
        _, folder = find_layout("ShapeNetCore", data_root(root), CORE_FOLDERS, CORE_LAYOUTS)
        found = _read_core(folder, Request(split, num_points, seed), absent)
        super().__init__(found.storage, found.labels, found.names, found.class_names, up_axis)


def _read_part_tree(folder: Path, request: Request) -> PointDataset:
    classes = _class_table(folder / "synsetoffset2category.txt")
    listing = folder / "train_test_split" / f"shuffled_{request.split}_file_list.json"
    # Entries are shape_data/<synset>/<model>.
    entries = [Path(entry).parts[-2:] for entry in json.loads(listing.read_text())]
    _require_known(listing, [synset for synset, _ in entries], classes)
    paths = [folder / synset / f"{model}.txt" for synset, model in entries]
    require_files("ShapeNetPart", listing, paths)
    storage = TableStorage(paths, request.num_points, request.seed, drawn=True, part_column=-1)
    synsets = list(classes)
    labels = [synsets.index(synset) for synset, _ in entries]
    return PointDataset(storage, labels, ["/".join(e) for e in entries], [*classes.values()], "y")


def _read_part_hdf5(folder: Path, request: Request) -> PointDataset:
    listing = folder / f"{request.split}_hdf5_file_list.txt"
    paths = [folder / Path(line).name for line in listing.read_text().split()]
    require_files("ShapeNetPart", listing, paths)
    class_names = [*_class_table(folder / "all_object_categories.txt").values()]
    files = [inspect_hdf5(path) for path in paths]
    return dataset_of_files(files, request.num_points, class_names, "y")


def _class_table(path: Path) -> dict[str, str]:
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    if any(len(row) != 2 for row in rows):
        raise LayoutError(f"ShapeNetPart: {path} is not a list of class names and synset ids")
    return {synset: name for name, synset in rows}


def _require_known(listing: Path, synsets: Sequence[str], classes: dict[str, str]) -> None:
    unknown = sorted(set(synsets) - set(classes))
    if unknown:
        raise LayoutError(f"ShapeNet: {listing} names shapes of an unknown class {unknown[0]}")


def _read_core(folder: Path, request: Request, absent: Absent = "few") -> PointDataset:
    models = _core_models(folder) if request.split == "all" else _split_models(folder, request)
    paths = [_model_file(folder, *model) for model in models]
    present = [path is not None for path in paths]
    if not all(present):
        _lacks(
            folder, models, [m for m, here in zip(models, present, strict=True) if not here], absent
        )
    kept = [model for model, here in zip(models, present, strict=True) if here]
    named = _taxonomy(folder)
    synsets = sorted({synset for synset, _ in kept})
    storage = FileStorage([p for p in paths if p], request.num_points, request.seed)
    labels = [synsets.index(synset) for synset, _ in kept]
    class_names = [named.get(synset, synset) for synset in synsets]
    return PointDataset(storage, labels, ["/".join(model) for model in kept], class_names, "y")


def _lacks(folder: Path, models: Sequence[Model], lost: Sequence[Model], absent: Absent) -> None:
    """Refuses a folder that lacks models, or warns of them."""
    found = (
        f"ShapeNetCore: {_csv(folder)} names {len(models)} models, of which {len(lost)} are not in "
        f"{folder}, first {'/'.join(lost[0])}"
    )
    if absent == "error" or (absent == "few" and len(lost) > MOST_ABSENT * len(models)):
        raise LayoutError(
            f"{found}; v2 lacks a few models of v1, for which the list was made: unpack the "
            "archive of each class to its end, or leave them out in Python with absent='skip'"
        )
    warnings.warn(f"{found}; they are left out", DataWarning, stacklevel=2)


def _core_models(folder: Path) -> list[Model]:
    models = []
    for synset in _synsets(folder):
        of_class = [(synset, entry.name) for entry in (folder / synset).iterdir() if entry.is_dir()]
        if not of_class:
            raise LayoutError(f"ShapeNetCore: the class folder {folder / synset} holds no models")
        models += of_class
    return sorted(models)


def _split_models(folder: Path, request: Request) -> list[Model]:
    path = _csv(folder)
    if path is None:
        raise LayoutError(
            f"ShapeNetCore: split {request.split!r} needs the official all.csv in {folder} or "
            "beside it; fetch it with `pcclust data fetch shapenetcore-split`, or take split='all'"
        )
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        if not {"synsetId", "modelId", "split"} <= set(rows.fieldnames or ()):
            raise LayoutError(f"ShapeNetCore: {path} lacks the columns synsetId, modelId, split")
        present = set(_synsets(folder))
        return sorted(
            (row["synsetId"].zfill(8), row["modelId"])
            for row in rows
            # Whole classes may have been left out on purpose, single models hardly.
            if row["split"] == request.split and row["synsetId"].zfill(8) in present
        )


def _csv(folder: Path) -> Path | None:
    return next((p for p in (folder / "all.csv", folder.parent / "all.csv") if p.is_file()), None)


def _model_file(folder: Path, synset: str, model: str) -> Path | None:
    candidates = (folder / synset / model / name for name in MODEL_FILES)
    return next((path for path in candidates if path.is_file()), None)


def _synsets(folder: Path) -> list[str]:
    return sorted(
        entry.name
        for entry in folder.iterdir()
        if len(entry.name) == 8 and entry.name.isdigit() and entry.is_dir()
    )


def _taxonomy(folder: Path) -> dict[str, str]:
    """Returns the first name of each synset; v1 keeps both under "metadata"."""
    path = folder / "taxonomy.json"
    if not path.is_file():
        return {}
    entries: list[dict[str, Any]] = json.loads(path.read_text())
    named = {}
    for entry in entries:
        metadata = entry.get("metadata", {})
        synset = entry.get("synsetId") or metadata.get("name", "")
        name = entry.get("name") or metadata.get("label", "")
        named[synset] = name.split(",")[0] or synset
    return named


PART_LAYOUTS = (
    Layout(
        "hdf5_data: train_hdf5_file_list.txt, all_object_categories.txt, ply_data_*.h5",
        lambda folder: (folder / "all_object_categories.txt").is_file(),
        _read_part_hdf5,
    ),
    Layout(
        "the text tree: synsetoffset2category.txt, train_test_split/shuffled_*_file_list.json, "
        "<synset>/<model>.txt",
        lambda folder: (folder / "synsetoffset2category.txt").is_file(),
        _read_part_tree,
    ),
)
CORE_LAYOUTS = (
    Layout(
        "ShapeNetCore v1 or v2: <synset>/<model>/model.obj or "
        "<synset>/<model>/models/model_normalized.obj, taxonomy.json, all.csv",
        # The text tree of ShapeNetPart has folders of the same names.
        lambda folder: bool(_synsets(folder)) and not PART_LAYOUTS[1].matches(folder),
        _read_core,
    ),
)
