"""Points of any supported file."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pcclust.data._parse_errors import ContentError, check_finite, naming_file
from pcclust.data.foreign import advice_on_suffix, foreign_content
from pcclust.data.formats import BY_SUFFIX
from pcclust.data.measured import DataWarning, measured_points
from pcclust.data.mesh import Geometry, Mesh
from pcclust.data.sampling import resample, sample_surface

# How many points a mesh gives where none are asked for: our choice, the size of common benchmarks.
MESH_POINTS = 1024
SUFFIXES = tuple(BY_SUFFIX)
LOST_DETAIL = 1e-5  # of a shape's extent: ours


def read_points(
    path: str | PathLike[str],
    num_points: int | None = None,
    seed: int = 0,
    *,
    index: int | None = None,
    dtype: DTypeLike = np.float32,
) -> NDArray[np.floating]:
    """Reads the points of one shape from a file of any supported format.

    The name's ending decides: OFF, OBJ, PLY, STL, GLB and glTF are meshes, or clouds where they
    have no faces; PCD, XYZ, PTS, TXT, CSV, LAS and LAZ are clouds; NPY, NPZ and HDF5 hold one cloud
    ``(N, 3)``, many of equal size ``(B, N, 3)``, or many packed ``(ΣN, 3)`` with ``offsets``.
    A mesh file gives all its surfaces: every object of OBJ and solid of STL, and the default scene
    of glTF with its skins and morph targets as they stand. Polygons of any number of corners,
    concave ones too, are cut into triangles. What is no surface beside one (points, lines) and how
    it looks or moves is not read; curved surfaces of OBJ, binary OFF, and compressed or instanced
    meshes of glTF are refused by name.

    Columns beyond x, y and z are not read; rows of a cloud that are NaN throughout, which mark that
    nothing was measured, are left out with a `DataWarning`. LAS and LAZ need ``pcclust[las]``.

    Args:
        path: the file.
        num_points: how many points to return. A mesh is sampled uniformly by area, 1,024 times
            where nothing is said (our choice). A cloud is returned as it is unless asked: then a
            random subset without repetition or, where it has too few points, all of them and
            random repetitions.
        seed: of the generator that samples; the same seed gives the same points.
        index: which cloud of a file of several, from 0.
        dtype: float32 or float64. Coordinates far from their origin, as georeferenced LAS files
            have, need float64: float32 keeps 7 digits, and a `DataWarning` says where that shows.

    Returns:
        ``(N, 3)`` finite points in the file's own unit and position.

    Raises:
        OSError: there is no such file, or it may not be read.
        ImportError: the format needs an optional library; the message names it.
        ValueError: unknown format; a broken, empty or lying file; a mesh without area; points that
            are not finite; several clouds and no ``index``. The message names the file.

    Example:
        >>> import tempfile, trimesh, pcclust
        >>> folder = tempfile.mkdtemp()
        >>> _ = trimesh.creation.box().export(f"{folder}/box.off")
        >>> pcclust.read_points(f"{folder}/box.off", 2048).shape
        (2048, 3)
    """
    _checked_arguments(num_points, seed, dtype)
    if index is None:
        count = count_clouds(path)
        if count > 1:
            raise ValueError(
                f"{path}: holds {count} clouds; name one with index=0 to index={count - 1}, "
                "or iterate over pcclust.data.read_clouds"
            )
    (points,) = read_clouds(path, num_points, seed, indices=[index or 0], dtype=dtype)
    return points


def read_clouds(
    path: str | PathLike[str],
    num_points: int | None = None,
    seed: int = 0,
    *,
    indices: Sequence[int] | None = None,
    dtype: DTypeLike = np.float32,
) -> Iterator[NDArray[np.floating]]:
    """Reads all shapes of a file, one after the other, opening it once.

    Args:
        path: as for `read_points`; a file of a single shape gives one.
        num_points: as for `read_points`.
        seed: as for `read_points`; every shape is sampled with a generator of this seed.
        indices: which shapes, in this order; all where nothing is said.
        dtype: as for `read_points`.

    Yields:
        ``(N, 3)`` points of each shape.

    Raises:
        OSError: as for `read_points`.
        ImportError: as for `read_points`.
        ValueError: as for `read_points`, and an index out of range.

    Example:
        >>> import tempfile, numpy as np
        >>> from pcclust.data import read_clouds
        >>> file = tempfile.mkdtemp() + "/clouds.npy"
        >>> np.save(file, np.zeros((5, 100, 3)))
        >>> [cloud.shape for cloud in read_clouds(file, indices=[0, 4])]
        [(100, 3), (100, 3)]
    """
    precision = _checked_arguments(num_points, seed, dtype)
    return _shapes_of(Path(path), num_points, seed, indices, precision)


def count_clouds(path: str | PathLike[str]) -> int:
    """Counts the shapes of a file: 1, or what an NPY, NPZ or HDF5 file says it holds.

    Args:
        path: as for `read_points`.

    Raises:
        OSError: as for `read_points`.
        ValueError: unknown format, or an NPY, NPZ or HDF5 file that cannot be read.

    Example:
        >>> import tempfile, numpy as np
        >>> from pcclust.data import count_clouds
        >>> file = tempfile.mkdtemp() + "/clouds.npy"
        >>> np.save(file, np.zeros((5, 100, 3)))
        >>> count_clouds(file)
        5
    """
    path = Path(path)
    _check_file(path)
    if not holds_many(path):
        return 1
    with _open(path) as shapes:
        return len(shapes)


def holds_many(path: Path) -> bool:
    """Tells whether files of this format may hold more than one shape."""
    format = BY_SUFFIX.get(path.suffix.lower())
    return format is not None and format.many


def _shapes_of(
    path: Path,
    num_points: int | None,
    seed: int,
    indices: Sequence[int] | None,
    dtype: np.dtype[np.floating],
) -> Iterator[NDArray[np.floating]]:
    _check_file(path)
    with _open(path) as shapes:
        for index in range(len(shapes)) if indices is None else indices:
            if not 0 <= index < len(shapes):
                raise ValueError(f"{path}: index={index} is not one of its {len(shapes)} clouds")
            place = path if len(shapes) == 1 else Path(f"{path}[{index}]")
            with naming_file(place, _format(path)):
                points = _points_of(shapes[index], num_points, seed, place)
                if dtype == np.float32:
                    _warn_of_lost_detail(points, place)
                with np.errstate(over="ignore"):
                    points = points.astype(dtype, copy=False)
                check_finite(points, f"exceeds {dtype}; read it as float64")
            yield points


@contextmanager
def _open(path: Path) -> Iterator[Sequence[Geometry]]:
    """Opens the shapes of a file; only what goes wrong in opening is blamed on it here."""
    with naming_file(path, _format(path)):
        file = BY_SUFFIX[path.suffix.lower()].open(path)
        shapes = file.__enter__()
    try:
        yield shapes
    finally:
        file.__exit__(None, None, None)


def _points_of(
    shape: Geometry, num_points: int | None, seed: int, place: Path
) -> NDArray[np.floating]:
    if isinstance(shape, Mesh):
        try:
            return sample_surface(shape, num_points or MESH_POINTS, seed)
        except ValueError as error:
            raise ContentError(str(error)) from error
    if len(shape) == 0:
        raise ContentError("holds no points")
    points = measured_points(shape, place)
    return points if num_points is None else resample(points, num_points, seed)


def _warn_of_lost_detail(points: NDArray[np.floating], place: Path) -> None:
    """Warns where rounding to float32 moves points by more than 1e-5 of the shape's extent."""
    away, extent = float(abs(points).max()), float(np.ptp(points, axis=0).max())
    step = away * float(np.finfo(np.float32).eps)
    if extent > 0 and step > LOST_DETAIL * extent:
        warnings.warn(
            f"{place}: lies {away:g} from the origin, where float32 has steps of {step:.2g}; read "
            "it with dtype=numpy.float64",
            DataWarning,
            stacklevel=3,
        )


def _check_file(path: Path) -> None:
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        advice = advice_on_suffix(path.suffix)
        raise ValueError(f"{path}: unknown format {path.suffix!r}; known are {known}{advice}")
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file")
    if path.is_symlink() and not path.exists():
        raise FileNotFoundError(
            f"{path} is a link to {path.readlink()}, which leads to no file; restore that, or "
            "remove the link"
        )
    if not path.exists():
        raise FileNotFoundError(f"{path}: there is no such file")
    if not path.is_file():
        raise OSError(f"{path} is no regular file")
    with path.open("rb") as file:
        if not file.read(1):
            raise ValueError(f"{path}: the file is empty")
    told = foreign_content(path)
    if told:
        raise ValueError(f"{path}: {told}")


def _checked_arguments(
    num_points: int | None, seed: int, dtype: DTypeLike
) -> np.dtype[np.floating]:
    if num_points is not None and num_points < 1:
        raise ValueError(f"num_points={num_points} must be at least 1")
    if seed < 0:
        raise ValueError(f"seed={seed} must not be negative")
    for precision in (np.dtype(np.float32), np.dtype(np.float64)):
        if np.dtype(dtype) == precision:
            return precision
    raise ValueError(f"dtype={np.dtype(dtype)} must be float32 or float64")


def _format(path: Path) -> str:
    return path.suffix[1:].upper()
