"""Writing shapes as one compact HDF5 file."""

import errno
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np

from pcclust.data.dataset import UpAxis
from pcclust.data.hdf5 import POINTS
from pcclust.data.hdf5_room import hdf5_with_room, size_of_texts
from pcclust.data.hdf5_storage import BLOCK


def write_hdf5(
    path: Path,
    blocks: Iterable[np.ndarray],
    *,
    count: int,
    num_points: int,
    names: Sequence[str],
    labels: np.ndarray | None = None,
    class_names: Sequence[str] = (),
    up_axis: UpAxis | None = None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Writes shapes as one compact HDF5 file that `inspect_hdf5` reads; all of it or nothing.

    Args:
        path: the file; replaced only when everything is written.
        blocks: arrays ``(n, P, 3)`` that together are ``count`` shapes.
        count: the number of shapes.
        num_points: P.
        names: of the shapes.
        labels: ``(count,)`` integers, or None.
        class_names: of the labels.
        up_axis: the axis against gravity, if known.
        notes: further attributes of the file, such as the source and the terms.

    Raises:
        OSError: the file cannot be written, for instance because the disk is full.
    """
    _check_room(path, count * num_points * 12)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        texts = size_of_texts([*names, *class_names, *(notes or {}).values()])
        with hdf5_with_room(temporary, _size_of_points(count, num_points) + texts) as file:
            _write_points(file, blocks, count, num_points)
            file["name"] = np.array(names, dtype=h5py.string_dtype())
            if labels is not None:
                file["label"] = labels.astype(np.int64)
            if class_names:
                file.attrs["class_names"] = list(class_names)
            if up_axis is not None:
                file.attrs["up_axis"] = up_axis
            file.attrs.update(notes or {})
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # HDF5 raises either, with pages of details
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise OSError(f"{path}: cannot be written, is the disk full? ({reason})") from error
    finally:
        temporary.unlink(missing_ok=True)


def _check_room(path: Path, needed: int) -> None:
    free = shutil.disk_usage(path.absolute().parent).free
    if needed > free:
        raise OSError(
            errno.ENOSPC, f"{path} may need {needed:,} bytes, {free:,} are free in its folder"
        )


def _size_of_points(count: int, num_points: int) -> int:
    """Returns the bytes of points that do not compress, their labels and the index of the blocks.

    The index keeps 48 bytes of a block, in nodes that may be half empty.
    """
    return count * (num_points * 12 + 8) + 256 * (count // BLOCK + 1)


def _write_points(
    file: h5py.File, blocks: Iterable[np.ndarray], count: int, num_points: int
) -> None:
    points = file.create_dataset(
        POINTS,
        (count, num_points, 3),
        np.float32,
        chunks=(min(BLOCK, max(count, 1)), num_points, 3),
        compression="gzip",
        shuffle=True,
    )
    start = 0
    for block in blocks:
        points[start : start + len(block)] = block
        start += len(block)
    if start != count:
        raise ValueError(f"{start} shapes were given to write, {count} announced")
