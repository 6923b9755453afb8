"""Reading shapes from HDF5 files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from pcclust.data._containers import Header, choose_points
from pcclust.data._parse_errors import ContentError
from pcclust.data.dataset import UP_AXES, PointDataset, UpAxis, numbered_classes
from pcclust.data.hdf5_content import (
    array_headers,
    checked_array,
    class_names,
    opened,
    read_array,
)
from pcclust.data.hdf5_storage import PARTS, Hdf5File, Hdf5Storage
from pcclust.data.labels import find_labels, texts_of

POINTS = "data"
MOST_CLASSES = 10_000  # higher labels are ids of something, not to be numbered


def inspect_hdf5(path: Path) -> Hdf5File:
    """Reads everything but the points of an HDF5 file with ``data`` ``(N, P, 3)``.

    The points may have another usual name (``points``, ``xyz``, …), the labels, too (``label``,
    ``labels``, ``y``, ``target``, …); these may be whole numbers of any type, ``(N,)`` or
    ``(N, 1)``, one-hot, or names.

    Raises:
        FileNotFoundError: no such file.
        OSError: not an HDF5 file, a truncated one, or one that another program has open.
        ValueError: an HDF5 file that does not hold shapes, or labels that are none.
    """
    with opened(path) as file:
        headers = array_headers(file)
        key, count, num_points = _shapes(headers)
        checked_array(file, key)
        group = key.rpartition("/")[0]
        beside = [name for name in headers if name.rpartition("/")[0] == group]
        short = {name.rpartition("/")[2]: name for name in beside}
        labels = find_labels(
            short, lambda name: read_array(file, short[name]), count, class_names(file)
        )
        axis = file.attrs.get("up_axis")
        return Hdf5File(
            path,
            key,
            count,
            num_points,
            *labels[:1],
            _names(file, short, count),
            labels.class_names,
            axis if axis in UP_AXES else None,
            _has_parts(file, (count, num_points)),
        )


def _shapes(headers: Mapping[str, Header]) -> tuple[str, int, int]:
    """Returns where the points are, how many shapes, and how many points each."""
    try:
        key = choose_points(headers, headers.__getitem__)
        shape = headers[key][0]
    except ContentError as error:
        held = ", ".join(f"{name} {shape}" for name, (shape, _) in headers.items()) or "nothing"
        raise ContentError(f"no dataset 'data' of shape (N, P, 3); it holds {held}") from error
    if len(shape) != 3:
        raise ContentError(
            f"no dataset 'data' of shape (N, P, 3); it holds {key} {shape}: shapes of several "
            "sizes are for pcclust.data.read_clouds and pcclust rri"
        )
    return key, shape[0], shape[1]


def _names(file: h5py.File, keys: Mapping[str, str], count: int) -> list[str] | None:
    key = next((keys[name] for name in ("name", "names") if name in keys), None)
    if key is None:
        return None
    names = texts_of(read_array(file, key))
    if len(names) != count:
        raise ContentError(f"{count} shapes, but {len(names)} values of {key!r}: give one for each")
    return names


def _has_parts(file: h5py.File, shape: tuple[int, int]) -> bool:
    if PARTS not in file:
        return False
    parts = checked_array(file, PARTS)
    if parts.shape != shape:
        raise ContentError(f"its {PARTS!r} has the shape {parts.shape}, its points {shape}")
    return True


def dataset_of_files(
    files: Sequence[Hdf5File],
    num_points: int | None = None,
    class_names: Sequence[str] = (),
    up_axis: UpAxis | None = None,
) -> PointDataset:
    """Makes one dataset of the shapes of several HDF5 files.

    Args:
        files: what `inspect_hdf5` found.
        num_points: the first so many points of every shape; all if None.
        class_names: of the labels; those that the first file names if there are none, and "class
            0" and so on if it names none.
        up_axis: the axis against gravity; what the first file says if None.

    Raises:
        ValueError: labels that are no classes, duplicate names, or too many points asked for.
    """
    names = [
        name
        for file in files
        for name in file.names or [f"{file.path.stem}/{row:05d}" for row in range(file.num_shapes)]
    ]
    labels, classes = _joined_labels(files, tuple(class_names))
    return PointDataset(
        Hdf5Storage(files, num_points), labels, names, classes, up_axis or files[0].up_axis
    )


def _joined_labels(
    files: Sequence[Hdf5File], class_names: tuple[str, ...]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Returns the labels of all files, by the names of classes that files number apart."""
    labelled = [file for file in files if file.labels is not None]
    if not labelled:
        return None, class_names or files[0].class_names
    bare = next((file for file in files if file.labels is None and file.num_shapes), None)
    if bare:
        raise ValueError(
            f"{labelled[0].path} has labels, and {bare.path} has none; give labels to both or none"
        )
    known = class_names or tuple(dict.fromkeys(n for file in files for n in file.class_names))
    labels = np.concatenate([_relabelled(file, known) for file in labelled])
    known = known or _numbered(labels)
    for file in labelled:
        _check_named(file, known)
    return labels, known


def _relabelled(file: Hdf5File, class_names: tuple[str, ...]) -> np.ndarray:
    """Returns the labels of a file as numbers of these classes."""
    labels = np.asarray(file.labels)
    if not file.class_names or file.class_names == class_names[: len(file.class_names)]:
        return labels
    _check_named(file, file.class_names)
    strange = {file.class_names[n] for n in set(labels.tolist())} - set(class_names)
    if strange:
        raise ValueError(
            f"{file.path}: its class {min(strange)!r} is none of {', '.join(class_names)}"
        )
    place = [class_names.index(n) if n in class_names else -1 for n in file.class_names]
    relabelled: np.ndarray = np.array(place, dtype=np.int64)[labels]
    return relabelled


def _check_named(file: Hdf5File, class_names: tuple[str, ...]) -> None:
    highest = int(np.max(np.asarray(file.labels), initial=0))
    if file.num_shapes and highest >= len(class_names):
        raise ValueError(
            f"{file.path}: label {highest} has no name among {len(class_names)} class names"
        )


def _numbered(labels: np.ndarray | None) -> tuple[str, ...]:
    """Returns names for the classes of a file that names none."""
    if labels is None or not len(labels) or labels.max() >= MOST_CLASSES:
        return ()
    return numbered_classes(int(labels.max()) + 1)
