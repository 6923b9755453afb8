"""Datasets by name, or by the file or folder that they are in."""

from pathlib import Path
from typing import Literal, cast

from pcclust._names import nearest
from pcclust.data.dataset import PointDataset
from pcclust.data.detect import LAYOUTS, open_dataset
from pcclust.data.modelnet import ModelNet

MODELNETS: dict[str, Literal[10, 40]] = {"modelnet10": 10, "modelnet40": 40}


def open_named(
    data: str, split: str | None = None, *, num_points: int | None = None, seed: int = 0
) -> PointDataset:
    """Opens modelnet40 or modelnet10 in $PCCLUST_DATA, or whatever dataset is at a path.

    Args:
        data: one of these names, or a path as for `open_dataset`.
        split: of a dataset that has splits; "train" if None.
        num_points: as for `open_dataset`.
        seed: of the sampling.

    Raises:
        FileNotFoundError: nothing is there, or no such split.
        ValueError: as for `open_dataset`.
    """
    if data in MODELNETS:
        chosen = cast(Literal["train", "test"], split or "train")  # ModelNet refuses others
        return ModelNet(None, MODELNETS[data], chosen, num_points=num_points or 1024, seed=seed)
    if not Path(data).exists():
        hint = nearest(data, MODELNETS)
        raise FileNotFoundError(f"dataset {data!r}: no such file or folder{hint}")
    return open_dataset(data, split, num_points=num_points, seed=seed)


def has_splits(data: str) -> bool:
    """Returns whether a dataset, named as for `open_named`, has a training and a test split."""
    place = Path(data)
    return data in MODELNETS or (
        place.is_dir() and any(layout.matches(place) for layout in LAYOUTS)
    )
