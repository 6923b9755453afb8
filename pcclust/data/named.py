"""Datasets by name, or by the file or folder that they are in."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Literal, NamedTuple, cast

from torch import Tensor

from pcclust._names import nearest, nearest_path
from pcclust.data.dataset import PointDataset
from pcclust.data.detect import LAYOUTS, open_dataset
from pcclust.data.layouts import Request
from pcclust.data.measured import DataWarning
from pcclust.data.modelnet import ModelNet
from pcclust.data.scanobjectnn import ScanObjectNN
from pcclust.data.shapenet import ShapeNetCore, ShapeNetPart
from pcclust.data.splits import stratified
from pcclust.data.transforms import UnitSphere

# How far centres and radii may be from those of the unit sphere, for which points that were left
# out of a shape account.
TOLERANCE = 0.25


class Named(NamedTuple):
    """A dataset that every command knows by name.

    Attributes:
        title: what it is.
        open: opens it in $PCCLUST_DATA.
    """

    title: str
    open: Callable[[Request], PointDataset]


def _modelnet(classes: Literal[10, 40], request: Request) -> PointDataset:
    split = cast(Literal["train", "test"], request.split)  # each dataset refuses others
    return ModelNet(None, classes, split, num_points=request.num_points, seed=request.seed)


def _shapenetpart(request: Request) -> PointDataset:
    split = cast(Literal["train", "val", "test"], request.split)
    return ShapeNetPart(None, split, num_points=request.num_points, seed=request.seed)


def _shapenetcore(request: Request) -> PointDataset:
    split = cast(Literal["train", "val", "test"], request.split)
    return ShapeNetCore(None, split, num_points=request.num_points, seed=request.seed)


def _scanobjectnn(request: Request) -> PointDataset:
    split = cast(Literal["train", "test"], request.split)
    return ScanObjectNN(None, split=split, num_points=request.num_points)


# A row a dataset. All have a training and a test split.
NAMED: Mapping[str, Named] = MappingProxyType(
    {
        "modelnet10": Named("ModelNet10", partial(_modelnet, 10)),
        "modelnet40": Named("ModelNet40", partial(_modelnet, 40)),
        "shapenetpart": Named("ShapeNetPart", _shapenetpart),
        "shapenetcore": Named("ShapeNetCore", _shapenetcore),
        "scanobjectnn": Named("ScanObjectNN, hardest variant", _scanobjectnn),
    }
)


def is_named(data: str) -> bool:
    """Returns whether this is the name of a dataset, as in `NAMED`."""
    return data in NAMED


def open_named(
    data: str, split: str | None = None, *, num_points: int | None = None, seed: int = 0
) -> PointDataset:
    """Opens a dataset of `NAMED` in $PCCLUST_DATA, or whatever dataset is at a path.

    Args:
        data: a name, or a path as for `open_dataset`; a name comes before a path.
        split: of a dataset that has splits; "train" if None.
        num_points: as for `open_dataset`.
        seed: of the sampling.

    Returns:
        The dataset, whose ``source`` is the name and the split that was asked for.

    Raises:
        FileNotFoundError: nothing is there, or no such split.
        ValueError: as for `open_dataset`.
    """
    if is_named(data):
        dataset = NAMED[data].open(Request(split or "train", num_points or 1024, seed))
    elif Path(data).exists():
        dataset = open_dataset(data, split, num_points=num_points, seed=seed)
    else:
        hint = nearest(data, NAMED)
        if "did you mean" not in hint:
            hint = nearest_path(data) or hint
        raise FileNotFoundError(f"dataset {data!r}: no such file or folder{hint}")
    dataset.source = f"{data}, {split}" if split else data
    return dataset


def has_splits(data: str) -> bool:
    """Returns whether a dataset, named as for `open_named`, has a training and a test split."""
    place = Path(data)
    return is_named(data) or (place.is_dir() and any(layout.matches(place) for layout in LAYOUTS))


def open_labelled(
    data: str,
    split: str | None,
    *,
    default_split: str = "test",
    num_points: int | None = None,
    class_names: Sequence[str] = (),
    normalize: bool = False,
    limit: int | None = None,
    seed: int = 0,
) -> PointDataset:
    """Opens shapes with labels.

    Args:
        data: as for `open_named`.
        split: of data that has splits.
        default_split: the split of data that has splits, where none is named.
        num_points: of every shape; as the data has them if None.
        class_names: those of a model, whose order the labels get; those of the data if empty.
        normalize: whether to centre and scale the shapes to the unit sphere. If not, a
            `DataWarning` says so where they are not there.
        limit: the most shapes, of each class its share; all if None.
        seed: of the choice and of the sampling of meshes.

    Raises:
        FileNotFoundError: nothing is there, or no such split.
        ValueError: data without labels, or of classes that are not among ``class_names``.
    """
    split = split or (default_split if has_splits(data) else None)
    dataset = open_named(data, split, num_points=num_points, seed=seed)
    if dataset.labels is None:
        raise ValueError(f"{data} has no labels, by which predictions could be right or wrong")
    if limit is not None:
        dataset = dataset.subset(stratified(dataset.labels, limit, seed))
    if normalize:
        dataset = dataset.with_points(UnitSphere()(dataset.points))
    else:
        dataset = dataset.load()
        _warn_of_places(dataset.points, data)
    return dataset.relabelled(class_names) if class_names else dataset


def _warn_of_places(points: Tensor, data: str) -> None:
    """Says so if shapes are not centred in the unit sphere, about whose centre they are turned."""
    radii = points.norm(dim=2).amax(dim=1)
    away = points.mean(dim=1).norm(dim=1) > TOLERANCE
    odd = int((away | ((radii - 1).abs() > TOLERANCE)).sum())
    if odd > len(points) // 20:
        warnings.warn(
            f"{data}: {odd:,} of {len(points):,} shapes are not centred in the unit sphere; "
            "--normalize puts them there, if the model was trained so",
            DataWarning,
            stacklevel=2,
        )
