"""Point clouds of scanners as LAS and LAZ, read by laspy."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from pcclust._extras import install_line, require
from pcclust.data._parse_errors import ContentError
from pcclust.data._sizes import check_expansion, check_present

BYTES_PER_READ = 1 << 26
POINT_BYTES = 24  # x, y and z in float64


def load_las(path: Path) -> NDArray[np.float64]:
    """Reads a LAS or LAZ file, scaled and offset as its header says."""
    laspy = require_laspy(compressed=path.suffix.lower() == ".laz")
    _check_las_counts(path)
    # In pieces, since the header of a broken file may declare more points than memory holds.
    with _panics_raised(), laspy.open(path, laz_backend=_laz_backends(laspy)) as file:
        declared, width = file.header.point_count, file.header.point_format.size
        size = path.stat().st_size
        if file.header.are_points_compressed:
            check_expansion(declared * POINT_BYTES, size, f"{declared:,} compressed points")
        else:
            check_present(declared * width, size, f"{declared:,} points")
        pieces = [
            np.column_stack([piece.x, piece.y, piece.z])
            for piece in file.chunk_iterator(max(1, BYTES_PER_READ // width))
        ]
    found = sum(map(len, pieces))
    if found != declared:
        raise ContentError(f"the header declares {declared} points, but {found} follow")
    return np.concatenate([np.empty((0, 3)), *pieces])


def require_laspy(compressed: bool) -> ModuleType:
    """Imports laspy.

    Args:
        compressed: whether LAZ is to be read, which needs a decompressor as well.

    Raises:
        ImportError: laspy or the decompressor is not installed; the message says what to do.
    """
    laspy = require("laspy", "LAS and LAZ files")
    if compressed and not laspy.LazBackend.detect_available():
        raise ImportError(f"LAZ files need laspy with lazrs: {install_line('laspy')}")
    return laspy


def _laz_backends(laspy: ModuleType) -> list[Any]:
    # The parallel one allocates what a broken header says, and aborts the process where it cannot.
    return [b for b in laspy.LazBackend.detect_available() if b != laspy.LazBackend.LazrsParallel]


def _check_las_counts(path: Path) -> None:
    """Raises where a header counts more than fits the file; the libraries would try all of it.

    laspy loops over four thousand million records, and lazrs aborts the process where it cannot
    allocate as many chunks. Offsets and least sizes are those of the LAS 1.4 specification (ASPRS,
    2019) and of LASzip's chunk table.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        header = file.read(375).ljust(375, b"\0")
        (records,) = struct.unpack_from("<I", header, 100)
        (extended,) = struct.unpack_from("<I", header, 243) if header[25] >= 4 else (0,)
        if records * 54 + extended * 60 > size:
            raise ContentError(
                f"{size} bytes cannot hold the {records + extended} declared records"
            )
        compressed = bool(header[104] & 0x80)
        chunks = _count_laz_chunks(file, header, size) if compressed else 0
    if chunks * 20 > size:  # a chunk begins with a whole point, of at least 20 bytes
        raise ContentError(f"{size} bytes cannot hold the {chunks} declared chunks")


def _count_laz_chunks(file: IO[bytes], header: bytes, size: int) -> int:
    (table,) = struct.unpack("<q", _read_at(file, struct.unpack_from("<I", header, 96)[0], 8))
    if table == -1:  # written as a stream: the place of the table comes last
        (table,) = struct.unpack("<q", _read_at(file, size - 8, 8))
    _version, chunks = struct.unpack("<II", _read_at(file, table, 8))
    return int(chunks)


def _read_at(file: IO[bytes], place: int, count: int) -> bytes:
    file.seek(max(place, 0))
    content = file.read(count)
    if len(content) < count:
        raise ContentError("the LAZ file is cut off, or points beyond its end")
    return content


@contextmanager
def _panics_raised() -> Iterator[None]:
    """Turns a panic of the LAZ decompressor, which is no Exception, into one."""
    try:
        yield
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise ContentError(f"the LAZ decompressor fails on it ({error})") from error
