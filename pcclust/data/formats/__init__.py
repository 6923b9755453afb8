"""The file formats, one row each: a new one is a file with its reader, and a row here."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple, TypeAlias

from pcclust.data._containers import open_hdf5, open_npy, open_npz
from pcclust.data._scans import load_las
from pcclust.data.formats.gltf import load_gltf
from pcclust.data.formats.obj import load_obj
from pcclust.data.formats.off import load_off
from pcclust.data.formats.pcd import load_pcd
from pcclust.data.formats.ply import load_ply
from pcclust.data.formats.stl import load_stl
from pcclust.data.formats.table import load_table
from pcclust.data.mesh import Geometry

Open: TypeAlias = Callable[[Path], AbstractContextManager[Sequence[Geometry]]]


class Format(NamedTuple):
    """What reads the files of some endings.

    Attributes:
        suffixes: the endings of the names, in lower case.
        open: opens a file as the sequence of its shapes, each read when it is asked for.
        many: whether a file may hold more than one.
    """

    suffixes: tuple[str, ...]
    open: Open
    many: bool = False


def _one(load: Callable[[Path], Geometry]) -> Open:
    """Makes a function that reads one shape into one that opens a file of one shape."""
    return lambda path: nullcontext([load(path)])


FORMATS = (
    Format((".off",), _one(load_off)),
    Format((".obj",), _one(load_obj)),
    Format((".ply",), _one(load_ply)),
    Format((".stl",), _one(load_stl)),
    Format((".glb", ".gltf"), _one(load_gltf)),
    Format((".xyz", ".pts", ".txt", ".csv"), _one(load_table)),
    Format((".las", ".laz"), _one(load_las)),
    Format((".pcd",), _one(load_pcd)),
    Format((".npy",), open_npy, many=True),
    Format((".npz",), open_npz, many=True),
    Format((".h5", ".hdf5"), open_hdf5, many=True),
)
BY_SUFFIX = {suffix: row for row in FORMATS for suffix in row.suffixes}
