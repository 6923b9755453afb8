"""Features of whole shapes as one NPZ or HDF5 file, written in parts and joined at the end."""

import io
import json
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from pcclust._files import whole_file
from pcclust.data.dataset import UpAxis
from pcclust.data.partial_output import PartialOutput


@dataclass(frozen=True)
class EmbeddingSettings:
    """What determines the features; an interrupted run goes on only with the same."""

    weights: str
    weights_sha256: str
    num_points: int
    points: bool
    seed: int
    precision: str
    pcclust: str


class EmbeddedBatch(NamedTuple):
    """Features of some shapes.

    Attributes:
        names: of the B shapes.
        features: ``(B, C)`` float32.
        labels: ``(B,)`` int64, -1 for shapes without.
        points: ``(B, P, 3)`` float32 in the unit sphere; kept only where the settings say so.
    """

    names: list[str]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    points: NDArray[np.float32]


class EmbeddingOutput(PartialOutput[EmbeddingSettings]):
    """Takes batches of features for NAME.npz or NAME.h5."""

    def add(self, batch: EmbeddedBatch) -> None:
        """Stores the features of some shapes."""
        points = batch.points if self.settings.points else batch.points[:, :0]
        with self.folder.completing():
            self.folder.save({**batch._asdict(), "names": np.array(batch.names), "points": points})

    def finish(self, class_names: tuple[str, ...], up_axis: UpAxis | None) -> tuple[int, int]:
        """Writes the file and removes the parts; returns the sizes of the features.

        Args:
            class_names: of the labels.
            up_axis: of the points, if it is known.
        """
        arrays: dict[str, NDArray[Any]] = {
            "features": np.concatenate(list(self.folder.read("features"))),
            "names": np.array(self.folder.names()),
        }
        labels = np.concatenate(list(self.folder.read("labels")))
        if (labels >= 0).all():
            arrays |= {"labels": labels, "class_names": np.array(class_names)}
        if self.settings.points:
            arrays["points"] = np.concatenate(list(self.folder.read("points")))
            arrays |= {} if up_axis is None else {"up_axis": np.array([up_axis])}
        about = json.dumps(asdict(self.settings))
        with self.folder.completing(), whole_file(self.out) as file:
            if self.out.suffix.lower() == ".npz":
                np.savez(file, **{**arrays, "about": np.array(about)})  # type: ignore[arg-type]
            else:
                file.write(_hdf5(arrays, about))
        self.folder.remove()
        count, width = arrays["features"].shape
        return count, width


def _hdf5(arrays: dict[str, NDArray[Any]], about: str) -> memoryview:
    """Returns the content of an HDF5 file."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as container:
        for name, array in arrays.items():
            texts = array.dtype.kind == "U"
            container[name] = array.astype(h5py.string_dtype()) if texts else array
        container.attrs["about"] = about
    return buffer.getbuffer()
