"""Reading arrays of NPY and NPZ files, none larger than the file can hold."""

import math
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError
from pcclust.data._sizes import check_expansion, check_present

SUFFIX = ".npy"


class Npz(NamedTuple):
    """An NPZ file that is open.

    Attributes:
        archive: its members.
        size: of the file, in bytes.
    """

    archive: zipfile.ZipFile
    size: int

    def names(self) -> list[str]:
        """Returns the names of its arrays."""
        names = [name.removesuffix(SUFFIX) for name in self.archive.namelist()]
        double = next((name for name in names if names.count(name) > 1), None)
        if double is not None:
            raise ContentError(f"it holds {names.count(double)} arrays {double!r}")
        return [n.removesuffix(SUFFIX) for n in self.archive.namelist() if n.endswith(SUFFIX)]

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Reads shape and dtype of an array without its values."""
        with self.archive.open(name + SUFFIX) as file:
            version = np.lib.format.read_magic(file)
            old = version == (1, 0)
            format = np.lib.format
            read = format.read_array_header_1_0 if old else format.read_array_header_2_0
            shape, _, dtype = read(file)
        return shape, dtype

    def read(self, name: str) -> NDArray[Any]:
        """Reads an array.

        Raises:
            ContentError: the file cannot hold as much as the array's header says.
        """
        shape, dtype = self.header(name)
        if dtype.hasobject:
            raise ContentError(f"objects, which NumPy would unpickle, are not read: its {name!r}")
        member = self.archive.getinfo(name + SUFFIX)
        declared = math.prod(shape) * dtype.itemsize
        check_present(declared, member.file_size, f"values of {name!r}")
        check_present(member.compress_size, self.size, f"values of {name!r}")
        check_expansion(declared, member.compress_size, f"values of {name!r}")
        with self.archive.open(member) as file:
            return np.asarray(np.lib.format.read_array(file, allow_pickle=False))


@contextmanager
def open_npz_file(path: Path) -> Iterator[Npz]:
    """Opens an NPZ file; none of its arrays is read yet."""
    with zipfile.ZipFile(path) as archive:
        yield Npz(archive, path.stat().st_size)
