"""Files of features: one row a shape, and perhaps what the shapes are."""

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.data.transforms import UnitSphere
from pcclust.report.cluster_rows import Shapes

HDF5 = (".h5", ".hdf5")
# The names of arrays, the first one preferred: ours, and those of datasets.
NAMES = {"names": ("names", "name"), "labels": ("labels", "label"), "points": ("points", "data")}


def is_feature_file(path: Path) -> bool:
    """Whether a file holds features rather than shapes: .npy and .npz always do.

    Raises:
        OSError: an HDF5 file that is damaged.
    """
    if not path.is_file() or path.suffix.lower() not in (".npy", ".npz", *HDF5):
        return False
    if path.suffix.lower() not in HDF5:
        return True
    with _opened(path) as file:
        return "features" in file


def read_feature_file(path: Path) -> tuple[NDArray[np.floating], Shapes]:
    """Reads features and what is known of their shapes.

    Args:
        path: .npy of features ``(N, C)``, or .npz or .h5 with ``features`` and perhaps ``labels``
            ``(N,)``, ``names``, ``points`` ``(N, P, 3)`` and ``class_names``.

    Raises:
        OSError: it cannot be read.
        ValueError: no features in it, or arrays that do not fit each other.
    """
    arrays = _arrays(path)
    if "features" not in arrays:
        held = ", ".join(f"{name} {np.shape(value)}" for name, value in arrays.items())
        raise ValueError(f"{path}: no array `features` (N, C); it holds {held or 'nothing'}")
    features = arrays["features"]
    if features.ndim == 4 and features.shape[3] == 4:
        raise ValueError(
            f"{path}: features {features.shape} are RRI of every point, as pcclust rri writes "
            "them; one row a shape is needed: give the shapes themselves"
        )
    if features.ndim != 2 or not features.size or features.dtype.kind not in "fiu":
        raise ValueError(
            f"{path}: features must be numbers (N, C), got {features.dtype} {features.shape}"
        )
    return _floating(features), _shapes(arrays, len(features), path)


def _floating(features: NDArray[Any]) -> NDArray[np.floating]:
    return features if features.dtype.kind == "f" else features.astype(np.float64)


def _arrays(path: Path) -> Mapping[str, NDArray[Any]]:
    """Returns the arrays by their names; .npy has one, the features."""
    if path.suffix.lower() in HDF5:
        with _opened(path) as file:
            held = {name: np.asarray(file[name]) for name in file}
            attributes = {"class_names": file.attrs.get("class_names")}
            return held | {n: np.asarray(v) for n, v in attributes.items() if v is not None}
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"features": loaded}
        with loaded:
            return dict(loaded)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no whole NumPy file of numbers and texts ({error}); objects, which NumPy "
            "would unpickle, are not read"
        ) from error


def _shapes(arrays: Mapping[str, NDArray[Any]], count: int, path: Path) -> Shapes:
    found = {
        what: next((arrays[name] for name in names if name in arrays), None)
        for what, names in NAMES.items()
    }
    for what, values in found.items():
        if values is not None and len(values) != count:
            raise ValueError(f"{path}: {count} features, but {len(values)} {what}")
    labels, class_names = _labels(found["labels"], arrays.get("class_names"), path)
    names, points = found["names"], found["points"]
    return Shapes(
        [str(i) for i in range(count)] if names is None else _texts(names),
        None if points is None else _points(points, path),
        labels,
        class_names,
    )


def _labels(
    labels: NDArray[Any] | None, class_names: NDArray[Any] | None, path: Path
) -> tuple[NDArray[np.int64] | None, list[str]]:
    """Returns labels as numbers, and their names; labels may be the names themselves."""
    if labels is None:
        return None, []
    if labels.dtype.kind in "OSU":
        classes, numbers = np.unique(_texts(labels), return_inverse=True)
        return numbers.astype(np.int64), classes.tolist()
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise ValueError(f"{path}: labels must be integers (N,), got {labels.dtype} {labels.shape}")
    missing = int((labels < 0).sum())
    if missing == len(labels):
        return None, []  # -1 throughout, which is how datasets say that there are none
    if missing:
        raise ValueError(
            f"{path}: {missing:,} of {len(labels):,} labels are negative, which means none: leave "
            "these shapes out, or all labels"
        )
    return labels.astype(np.int64), [] if class_names is None else _texts(class_names)


def _points(points: NDArray[Any], path: Path) -> torch.Tensor:
    if points.ndim != 3 or points.shape[2] != 3 or not np.isfinite(points).all():
        raise ValueError(f"{path}: points must be finite (N, P, 3), got {points.shape}")
    return UnitSphere()(torch.from_numpy(points.astype(np.float32)))


def _texts(values: NDArray[Any]) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values.tolist()]


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise OSError(f"{path} is not a whole HDF5 file ({error}); make it again") from error
