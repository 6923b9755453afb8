"""Arrays of one or many clouds: NPY, NPZ and HDF5."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data.hdf5_content import array_headers, checked_array, open_file, read_array
from pcclust.data.numpy_content import open_npz_file

# Where a file holds several arrays, its points are the first of these: the names of this project,
# of the published ModelNet40 files, and of common exporters.
POINT_NAMES = ("points", "data", "xyz", "pos", "coordinates", "coords", "vertices", "point_cloud")

NPY_MARK = b"\x93NUMPY"


class CloudArray(Sequence[NDArray[np.float64]]):
    """Clouds in one array, ``(N, 3)``, ``(B, N, 3)`` or packed with offsets, read one by one."""

    def __init__(self, points: Any, offsets: NDArray[np.int64] | None = None) -> None:  # noqa: ANN401
        """Takes any array that can be sliced, in memory or on disk."""
        self._points = points
        self._dense = points.ndim == 3
        whole = np.array([0, points.shape[0]], dtype=np.int64)
        self._offsets = whole if offsets is None else offsets
        _check_offsets(self._offsets, points.shape)

    def __len__(self) -> int:
        return int(self._points.shape[0]) if self._dense else len(self._offsets) - 1

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float64]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.float64]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.float64] | list[NDArray[np.float64]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if self._dense:
            return np.asarray(self._points[index, :, :3], dtype=np.float64)
        begin, end = self._offsets[index : index + 2]
        return np.asarray(self._points[begin:end, :3], dtype=np.float64)


@contextmanager
def open_npy(path: Path) -> Iterator[CloudArray]:
    """Opens the array of an NPY file without reading it whole."""
    with path.open("rb") as file:
        if file.read(len(NPY_MARK)) != NPY_MARK:
            raise ContentError("it does not begin as NPY files do: write it with numpy.save")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError as error:
        if "Python objects" not in str(error):
            raise
        raise ContentError(
            "it holds Python objects, which NumPy would unpickle; save clouds of different sizes "
            "as one array (ΣN, 3) with offsets in an NPZ file"
        ) from error
    _refuse_unfit(_fault(array.shape, array.dtype))
    yield CloudArray(array)


@contextmanager
def open_npz(path: Path) -> Iterator[CloudArray]:
    """Opens the points of an NPZ file; other members are not read."""
    with open_npz_file(path) as file:
        names = file.names()
        points = file.read(choose_points(names, file.header))
        packed = points.ndim == 2 and "offsets" in names
        yield CloudArray(points, file.read("offsets") if packed else None)


@contextmanager
def open_hdf5(path: Path) -> Iterator[CloudArray]:
    """Opens the points of an HDF5 file without reading them."""
    with open_file(path) as file:
        headers = array_headers(file)
        name = choose_points(headers, headers.__getitem__)
        points = checked_array(file, name)
        beside = [
            key for key in (f"{name.rpartition('/')[0]}/offsets", "offsets") if key in headers
        ]
        packed = points.ndim == 2 and beside
        yield CloudArray(points, read_array(file, beside[0]) if packed else None)


Header = tuple[tuple[int, ...], np.dtype[Any]]


def choose_points(names: Iterable[str], header: Callable[[str], Header]) -> str:
    """Returns the name of the array of points: a usual name, or the only array that can be."""
    faults = {name: _fault(*header(name)) for name in names}
    for wanted in POINT_NAMES:
        found = [name for name in faults if name.rpartition("/")[2].lower() == wanted]
        if len(found) > 1:
            raise ContentError(f"several arrays are called {wanted!r}: {', '.join(found)}")
        if found:
            _refuse_unfit(faults[found[0]], found[0])
            return found[0]
    if any(name.endswith("block0_items") for name in faults):
        raise ContentError(
            "it is a table as pandas.to_hdf writes it, which may have its columns in any order; "
            "save x, y and z as CSV or NPY"
        )
    fit = [name for name, fault in faults.items() if fault is None]
    if len(faults) == 1 and not fit:
        _refuse_unfit(*reversed(next(iter(faults.items()))))
    if len(fit) == 1:
        return fit[0]
    raise ContentError(
        f"holds {len(fit) or 'no'} arrays that may be points and none with a usual name "
        f"({', '.join(POINT_NAMES)}); its arrays: {', '.join(faults) or 'none'}"
    )


def _fault(shape: tuple[int, ...], dtype: np.dtype[Any]) -> str | None:
    """Returns why an array cannot be clouds, or None where it can."""
    if dtype.kind not in "fiu":
        return f"has dtype {dtype}, not numbers"
    if len(shape) not in (2, 3):
        return f"has shape {shape}, not (N, 3) or (B, N, 3)"
    if 0 in shape:
        return f"is empty: shape {shape}"
    if shape[-1] < 3:
        return f"has shape {shape}: its last axis must be x, y, z"
    if shape[-2] == 3 and shape[-1] > 3:
        return f"has shape {shape}: it looks transposed, the last axis must be x, y, z"
    return None


def _refuse_unfit(fault: str | None, name: str | None = None) -> None:
    if fault is not None:
        raise ContentError(f"the array {name + ' ' if name else ''}{fault}")


def _check_offsets(offsets: NDArray[np.int64], shape: tuple[int, ...]) -> None:
    if offsets.ndim != 1 or len(offsets) < 2 or offsets.dtype.kind not in "iu":
        raise ContentError(
            f"offsets must be (B + 1,) integers, got {offsets.dtype} {offsets.shape}"
        )
    if offsets[0] != 0 or offsets[-1] != shape[0] or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise ContentError(f"offsets must increase from 0 to the {shape[0]} points")
