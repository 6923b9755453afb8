"""Files of features: one row a shape, and perhaps what the shapes are."""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.dataset import UP_AXES, PointDataset, UpAxis, numbered_classes
from pcclust.data.hdf5_content import array_headers, class_names, opened, read_array
from pcclust.data.labels import find_labels, texts_of
from pcclust.data.numpy_content import open_npz_file
from pcclust.data.precision import in_float32
from pcclust.data.transforms import UnitSphere

Read: TypeAlias = Callable[[str], NDArray[Any]]

HDF5 = (".h5", ".hdf5")
# The names of arrays besides the labels, the first one preferred: ours, and those of datasets.
NAMES = {"names": ("names", "name"), "points": ("points", "data")}


def is_feature_file(path: Path) -> bool:
    """Whether a file holds features rather than shapes: .npy and .npz always do.

    Raises:
        OSError: an HDF5 file that is damaged.
    """
    if not path.is_file() or path.suffix.lower() not in (".npy", ".npz", *HDF5):
        return False
    if path.suffix.lower() not in HDF5:
        return True
    with opened(path) as file:
        return "features" in file


def read_feature_file(path: Path) -> tuple[NDArray[np.floating], PointDataset]:
    """Reads features and what is known of their shapes.

    Args:
        path: .npy of features ``(N, C)``, or .npz or .h5 with ``features`` and perhaps ``labels``
            ``(N,)``, ``names``, ``points`` ``(N, P, 3)``, their ``up_axis``, and ``class_names``.

    Raises:
        OSError: it cannot be read.
        ValueError: no features in it, or arrays that do not fit each other.
    """
    try:
        with _arrays(path) as (names, read):
            return _read(names, read, str(path))
    except ContentError as error:
        raise ValueError(f"{path}: {error}") from error


def _read(names: list[str], read: Read, source: str) -> tuple[NDArray[np.floating], PointDataset]:
    if "features" not in names:
        raise ContentError(f"no array `features` (N, C); it holds {', '.join(names) or 'nothing'}")
    features = read("features")
    if features.ndim == 4 and features.shape[3] == 4:
        raise ContentError(
            f"features {features.shape} are RRI of every point, as pcclust rri writes them; one "
            "row a shape is needed: give the shapes themselves"
        )
    if features.ndim != 2 or not features.size or features.dtype.kind not in "fiu":
        raise ContentError(
            f"features must be numbers (N, C), got {features.dtype} {features.shape}"
        )
    wrong = ~np.isfinite(features).all(axis=1)
    if wrong.any():
        raise ContentError(f"features[{wrong.argmax()}] holds NaN or inf; leave that row out")
    return _floating(features), _shapes(names, read, len(features), source)


def _floating(features: NDArray[Any]) -> NDArray[np.floating]:
    return features if features.dtype.kind == "f" else features.astype(np.float64)


@contextmanager
def _arrays(path: Path) -> Iterator[tuple[list[str], Read]]:
    """Opens a file; gives the names of its arrays, and what reads one; .npy has one, the features.

    Raises:
        ContentError: no whole file, or not of numbers and texts.
    """
    suffix = path.suffix.lower()
    if suffix in HDF5:
        with opened(path) as file:
            names = {"class_names": np.array(class_names(file))} if class_names(file) else {}
            held = list(dict.fromkeys([*array_headers(file), *names]))
            yield held, lambda name: names[name] if name in names else read_array(file, name)
        return
    try:
        if suffix == ".npy":
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            yield ["features"], lambda _: np.asarray(array)
        else:
            with open_npz_file(path) as npz:
                yield npz.names(), npz.read
    except ContentError:
        raise
    except (ValueError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise ContentError(
            f"is no whole NumPy file of numbers and texts ({error}); objects, which NumPy would "
            "unpickle, are not read"
        ) from error


def _shapes(names: list[str], read: Read, count: int, source: str) -> PointDataset:
    found = {
        what: next((read(name) for name in usual if name in names), None)
        for what, usual in NAMES.items()
    }
    for what, values in found.items():
        if values is not None and (not values.ndim or len(values) != count):
            raise ContentError(f"{count} features, but {len(np.atleast_1d(values))} {what}")
    classes = texts_of(read("class_names")) if "class_names" in names else []
    labels, known = find_labels(names, read, count, classes)
    needed = 0 if labels is None else int(labels.max()) + 1
    return PointDataset(
        torch.empty(count, 0, 3) if found["points"] is None else _points(found["points"]),
        labels,
        None if found["names"] is None else texts_of(found["names"]),
        [*known, *numbered_classes(needed)[len(known) :]] if needed else (),
        up_axis=_up_axis(texts_of(read("up_axis"))) if "up_axis" in names else None,
        rows=torch.arange(count),  # names of features may well occur twice
        source=source,
    )


def _up_axis(texts: list[str]) -> UpAxis:
    """Returns the axis against gravity that a file names."""
    for axis in UP_AXES:
        if texts == [axis]:
            return axis
    raise ContentError(f"up_axis must be x, y or z, got {', '.join(texts)}")


def _points(points: NDArray[Any]) -> torch.Tensor:
    if points.ndim != 3 or points.shape[2] != 3 or points.dtype.kind not in "fiu":
        raise ContentError(f"points must be numbers (N, P, 3), got {points.dtype} {points.shape}")
    wrong = ~np.isfinite(points).all(axis=2)
    if wrong.any():
        shape, point = (int(at[0]) for at in np.nonzero(wrong))
        raise ContentError(
            f"shape {shape}, point {point} is not finite: {points[shape, point].tolist()}"
        )
    return UnitSphere()(in_float32(torch.from_numpy(points.astype(np.float64))))
