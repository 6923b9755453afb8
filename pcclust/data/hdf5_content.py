"""The rules by which every reader of HDF5 files opens them and reads their arrays.

A file is read only from itself: links to other files, and arrays that are kept in other files,
could show whatever lies on the reader's disk. An array is read only if all of it is there.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError, LockedError
from pcclust.data._sizes import check_expansion, check_present
from pcclust.data.foreign import foreign_content
from pcclust.data.labels import texts_of

HARD = h5py.h5l.TYPE_HARD


def open_file(path: Path) -> h5py.File:
    """Opens an HDF5 file for reading.

    Raises:
        FileNotFoundError: no such file.
        LockedError: another program has it open for writing.
        OSError: not an HDF5 file, or a truncated one.
        ContentError: a file with links that may lead to other files.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist")
    try:
        file = h5py.File(path, "r")
    except PermissionError:
        raise
    except OSError as error:
        raise _opening_error(path, str(error)) from error
    try:
        _refuse_links(file)
    except ContentError:
        file.close()
        raise
    return file


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Opens an HDF5 file as `open_file` does, closes it, and names it in what goes wrong.

    Raises:
        OSError: as for `open_file`.
        ValueError: what is a `ContentError` otherwise.
    """
    try:
        with open_file(path) as file:
            yield file
    except ContentError as error:
        raise ValueError(f"{path}: {error}") from error


def _opening_error(path: Path, reason: str) -> OSError:
    if "No locks available" in reason or "not supported" in reason:
        return LockedError(
            f"{path} cannot be locked on this file system ({reason}); set "
            "HDF5_USE_FILE_LOCKING=FALSE to read it without a lock"
        )
    if "lock file" in reason or "already open for write" in reason:
        return LockedError(
            f"{path} is locked: another program has it open for writing, or did not close it; wait "
            "until that is closed (or run h5clear -s on the file if its writer was killed)"
        )
    told = foreign_content(path)
    if told:
        return OSError(f"{path}: {told}")
    return OSError(
        f"{path} is not a whole HDF5 file ({path.stat().st_size:,} bytes; {reason}); "
        "fetch or make it again"
    )


def _refuse_links(file: h5py.File) -> None:
    found: list[str] = []

    def look(name: bytes, info: Any) -> bool | None:  # noqa: ANN401
        if info.type == HARD:
            return None
        found.append(name.decode(errors="replace"))
        return True

    file.id.links.visit(look, info=True)
    if found:
        raise ContentError(
            f"its {found[0]!r} is a link, which may lead to another file and is not followed; put "
            "the array itself there (h5copy, or h5repack --merge)"
        )


def array_headers(file: h5py.File) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
    """Returns shape and dtype of all arrays by their paths, without reading any."""
    headers: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            headers[name] = (item.shape or (), item.dtype)

    file.visititems(look)
    return headers


def checked_array(file: h5py.File, key: str) -> h5py.Dataset:
    """Returns an array that is not read yet, but may be.

    Raises:
        ContentError: no array, one that is kept in other files, or one that is not all there.
    """
    array = file.get(key)
    if not isinstance(array, h5py.Dataset) or array.shape is None:
        raise ContentError(f"its {key!r} is no array")
    if array.is_virtual or array.external:
        raise ContentError(
            f"its {key!r} is kept in other files, which are not read; copy it into this one"
        )
    what = f"values of {key!r}"
    stored = array.id.get_storage_size()
    check_present(stored, Path(file.filename).stat().st_size, what)
    if array.chunks is None:
        check_present(array.nbytes if array.size else 0, stored, what)
        return array
    blocks = math.prod(-(-n // c) for n, c in zip(array.shape, array.chunks, strict=True))
    written = array.id.get_num_chunks()
    if written < blocks:
        raise ContentError(
            f"only {written:,} of the {blocks:,} blocks of its {key!r} {array.shape} were written; "
            "make it again"
        )
    check_expansion(array.nbytes, stored, what)
    return array


def read_array(file: h5py.File, key: str) -> NDArray[Any]:
    """Reads an array that `checked_array` accepts."""
    return np.asarray(checked_array(file, key)[()])


def class_names(file: h5py.File) -> tuple[str, ...]:
    """Returns the names of the labels: the attribute ``class_names``, or an array of that name."""
    names = file.attrs.get("class_names")
    if names is None and "class_names" in file:
        names = read_array(file, "class_names")
    return () if names is None else tuple(texts_of(np.asarray(names)))
