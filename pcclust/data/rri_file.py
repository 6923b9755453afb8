"""Reading what `pcclust rri` wrote: shapes with the features of their points."""

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.hdf5_content import array_headers, checked_array, opened, read_array
from pcclust.data.labels import texts_of
from pcclust.data.numpy_content import open_npz_file

HDF5 = (".h5", ".hdf5")
Shape = tuple[int, ...]


class DescribedCloud(NamedTuple):
    """One shape: its name, ``(N, 3)`` points and ``(N, k, 4)`` features of them."""

    name: str
    points: NDArray[np.floating]
    features: NDArray[np.floating]


class RRIFile:
    """Shapes of a file that is open, read one at a time from HDF5.

    Args:
        names: of the shapes.
        rows: reads some rows of an array.
        offsets: where each shape begins among the rows; None where a row is a shape.
    """

    def __init__(
        self,
        names: list[str],
        rows: Callable[[str, slice], NDArray[Any]],
        offsets: NDArray[Any] | None,
    ) -> None:
        self.names = names
        self._rows = rows
        self._offsets = offsets

    def __getitem__(self, index: int) -> DescribedCloud:
        if self._offsets is None:
            at = slice(index, index + 1)
            points, features = self._rows("points", at)[0], self._rows("features", at)[0]
        else:
            at = slice(int(self._offsets[index]), int(self._offsets[index + 1]))
            points, features = self._rows("points", at), self._rows("features", at)
        if not (np.isfinite(points).all() and np.isfinite(features).all()):
            raise ContentError(f"{self.names[index]} holds NaN or inf")
        return DescribedCloud(self.names[index], points, features)


def is_rri_file(path: Path) -> bool:
    """Whether a file holds the features of points, as `pcclust rri` writes them.

    Raises:
        OSError: an HDF5 file that is damaged.
    """
    suffix = path.suffix.lower()
    if not path.is_file() or suffix not in (".npz", *HDF5):
        return False
    if suffix in HDF5:
        with opened(path) as file:
            shapes = {name: shape for name, (shape, _) in array_headers(file).items()}
    else:
        try:
            with open_npz_file(path) as npz:
                shapes = {name: npz.header(name)[0] for name in npz.names()}
        except (ValueError, OSError, RuntimeError, zipfile.BadZipFile):  # said by whoever reads it
            return False
    features = shapes.get("features", ())
    return {"points", "names"} <= set(shapes) and len(features) in (3, 4) and features[-1] == 4


@contextmanager
def open_rri_file(path: Path) -> Iterator[RRIFile]:
    """Opens a file that `pcclust rri` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: arrays that do not fit each other, NaN or inf.
    """
    try:
        if path.suffix.lower() in HDF5:
            with opened(path) as file:
                shapes = {name: shape for name, (shape, _) in array_headers(file).items()}
                small = {name: read_array(file, name) for name in _small(shapes)}
                yield _checked(shapes, small, lambda name, at: checked_array(file, name)[at])
        else:
            with open_npz_file(path) as npz:
                shapes = {name: npz.header(name)[0] for name in npz.names()}
                small = {name: npz.read(name) for name in _small(shapes)}
                arrays = {name: npz.read(name) for name in ("points", "features")}
                yield _checked(shapes, small, lambda name, at: arrays[name][at])
    except ContentError as error:
        raise ValueError(f"{path}: {error}") from error


def _small(shapes: Mapping[str, Shape]) -> list[str]:
    return [name for name in ("names", "offsets") if name in shapes]


def _checked(
    shapes: Mapping[str, Shape],
    small: Mapping[str, NDArray[Any]],
    rows: Callable[[str, slice], NDArray[Any]],
) -> RRIFile:
    """Raises unless names, offsets, points and features are of the same shapes."""
    points, features = shapes["points"], shapes["features"]
    names, offsets = texts_of(small["names"]), small.get("offsets")
    if points != (*features[:-2], 3) or (len(features) == 3) != (offsets is not None):
        raise ContentError(f"points {points} do not fit features {features}")
    if offsets is None:
        if len(names) != points[0]:
            raise ContentError(f"{points[0]} shapes, but {len(names)} names")
    elif (
        offsets.shape != (len(names) + 1,)
        or (offsets[0], offsets[-1]) != (0, points[0])
        or (np.diff(offsets.astype(np.int64)) < 1).any()
    ):
        raise ContentError(f"its offsets do not divide {points[0]} points into {len(names)} shapes")
    return RRIFile(names, rows, offsets)
