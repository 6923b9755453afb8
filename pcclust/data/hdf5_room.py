"""HDF5 files whose space is there before the first byte: a disk cannot become full in between."""

import errno
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

# More than the headers and indexes of a file with a dozen of arrays.
HEADERS = 64 * 1024
# What HDF5 keeps of a text of any length, besides the text: 16 bytes to find it and 24 before and
# after it, in blocks of 4 KiB that are not always full.
PER_TEXT = 64
# What file systems say that reserve nothing.
_UNSUPPORTED = {errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def hdf5_with_room(path: Path, size: int) -> Iterator[h5py.File]:
    """Opens a new HDF5 file for writing, once the disk has reserved the space that it needs.

    HDF5 crashes the process when it cannot write what it still holds as it closes a file. So that
    this does not happen, nothing is opened before there is room. What was reserved and not used
    is returned at the end. Where nothing can be reserved, as on macOS, it is opened all the same.

    Args:
        path: the file, replaced if it exists.
        size: bytes of all that will be written, at most; headers come on top.

    Raises:
        OSError: there is no room, or the file cannot be written.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pcclust.data.hdf5_room import hdf5_with_room
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with hdf5_with_room(Path(folder) / "a.h5", 24) as file:
        ...         file["x"] = [1.0, 2.0, 3.0]
        ...     (Path(folder) / "a.h5").stat().st_size < 4096
        True
    """
    with path.open("wb") as empty:
        empty.write(_empty_file())
        empty.flush()
        _reserve(empty.fileno(), size + HEADERS)
    with h5py.File(path, "r+") as file:  # "w" would give back what is reserved
        yield file


def size_of_texts(texts: Iterable[str]) -> int:
    """Returns how many bytes an HDF5 file needs for texts, at most."""
    return sum(len(text.encode()) + PER_TEXT for text in texts)


def _empty_file() -> bytes:
    buffer = io.BytesIO()
    h5py.File(buffer, "w").close()
    return buffer.getvalue()


def _reserve(descriptor: int, size: int) -> None:
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
