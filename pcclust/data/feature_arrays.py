"""RRI features as one HDF5 or NPZ file, written in parts and joined at the end.

Joining needs the space of the output once more; in return neither a killed process nor a full disk
can damage what is stored, and memory holds one part at a time.
"""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from pcclust.data.hdf5_room import hdf5_with_room, size_of_texts
from pcclust.data.partial_output import FeatureBatch, FeatureOutput, PartialFolder

CHANNELS = ("r_i", "r_ik", "theta_ik", "phi_ik")
OF_POINTS = ("points", "neighbors", "features")  # arrays with a row for each point


class Layout(NamedTuple):
    """How the shapes of all parts lie in the output.

    Attributes:
        names: of the B shapes.
        offsets: ``(B + 1,)`` int64, where each begins among all ΣN points.
        centroids: ``(B, 3)`` float64.
        equal: the N of all shapes where it is the same, and the output ``(B, N, …)``; otherwise
            None, and the output packed, ``(ΣN, …)``.
    """

    names: list[str]
    offsets: NDArray[np.int64]
    centroids: NDArray[np.float64]
    equal: int | None

    def shape(self, *columns: int) -> tuple[int, ...]:
        """Returns the shape of the output whose points have these columns."""
        rows = (int(self.offsets[-1]),) if self.equal is None else (len(self.names), self.equal)
        return (*rows, *columns)

    def small_arrays(self) -> dict[str, NDArray[Any]]:
        """Returns what is said about each shape, besides its name."""
        packed = {"offsets": self.offsets} if self.equal is None else {}
        return {"centroids": self.centroids, **packed}


class FeatureArrays(FeatureOutput):
    """One HDF5 or NPZ file of points and features.

    It holds ``points`` (relative to the centroid), ``neighbors`` (of each point, nearest first, as
    positions in its shape, int32) and their ``features``: ``(B, N, 3)``, ``(B, N, k)`` and
    ``(B, N, k, 4)`` where all shapes have N points, otherwise packed ``(ΣN, 3)``, ``(ΣN, k)`` and
    ``(ΣN, k, 4)`` with ``offsets`` ``(B + 1,)``; ``names`` and ``centroids`` ``(B, 3)``; and the
    settings, as attributes (HDF5) or as JSON in ``settings`` (NPZ).
    """

    def add(self, batch: FeatureBatch) -> None:
        """Stores a batch as the next part."""
        with self.folder.completing():
            self.folder.save(batch._asdict())

    def finish(self) -> str:
        """Joins the parts into the file and removes them."""
        layout = _lay_out(self.folder)
        temporary = self.partial / "joined.tmp"
        join = _join_hdf5 if self.settings.format == "h5" else _join_npz
        with self.folder.completing():
            join(temporary, self.folder, layout, asdict(self.settings))
            temporary.replace(self.out)
        self.folder.remove()
        shapes = f"{layout.shape(3)}, features {layout.shape(self.settings.k, 4)}"
        return f"points {shapes}" + (" with offsets" if layout.equal is None else "")


def _lay_out(folder: PartialFolder) -> Layout:
    names = folder.names()
    sizes = np.concatenate(list(folder.read("sizes")))
    centroids = np.concatenate(list(folder.read("centroids")))
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    equal = int(sizes[0]) if (sizes == sizes[0]).all() else None
    return Layout(names, offsets, centroids, equal)


def _join_hdf5(path: Path, folder: PartialFolder, layout: Layout, settings: dict[str, Any]) -> None:
    with hdf5_with_room(path, _size(layout, settings["k"])) as file:
        file.attrs.update({name: value for name, value in settings.items() if value is not None})
        file.attrs["channels"] = CHANNELS
        file["names"] = np.array(layout.names, dtype=h5py.string_dtype())
        for name, array in layout.small_arrays().items():
            file[name] = array
        for name in OF_POINTS:
            dataset, row = None, 0
            for block in _blocks(folder, name, layout):
                if dataset is None:
                    shape = layout.shape(*_columns(block, layout))
                    dataset = file.create_dataset(name, shape, block.dtype)
                dataset[row : row + len(block)] = block
                row += len(block)


def _size(layout: Layout, k: int) -> int:
    """Returns the bytes of all arrays and names."""
    numbers = int(layout.offsets[-1]) * (3 + 5 * k)
    small = sum(array.nbytes for array in layout.small_arrays().values())
    return 4 * numbers + small + size_of_texts(layout.names)


def _join_npz(path: Path, folder: PartialFolder, layout: Layout, settings: dict[str, Any]) -> None:
    small = {
        "settings": np.array(json.dumps({**settings, "channels": CHANNELS})),
        "names": np.array(layout.names),
        **layout.small_arrays(),
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in small.items():
            with _npz_member(archive, name) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)
        for name in OF_POINTS:
            with _npz_member(archive, name) as file:
                for number, block in enumerate(_blocks(folder, name, layout)):
                    if number == 0:
                        _write_npy_header(file, layout.shape(*_columns(block, layout)), block.dtype)
                    file.write(np.ascontiguousarray(block).data)


def _npz_member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    # A ZipInfo of its own carries no time of writing: the same features give the same file.
    return archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)


def _write_npy_header(file: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _blocks(folder: PartialFolder, name: str, layout: Layout) -> Iterator[NDArray[Any]]:
    """Reads an array of all parts, each as rows of the output."""
    for rows in folder.read(name):
        yield rows if layout.equal is None else rows.reshape(-1, layout.equal, *rows.shape[1:])


def _columns(block: NDArray[Any], layout: Layout) -> tuple[int, ...]:
    return block.shape[1:] if layout.equal is None else block.shape[2:]
