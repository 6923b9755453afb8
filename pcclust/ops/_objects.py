"""Points in whatever a caller has them: arrays, tensors, and the clouds of other libraries.

Nothing is imported to find out: a library whose object is at hand has been imported already, and is
known by the name of the object's module.
"""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Opened(NamedTuple):
    """What an object holds.

    Attributes:
        points: a tensor, which shares the object's memory where it can, or what is no object of
            points at all, as it is.
        offsets: ``(B + 1,)`` where each packed cloud begins, if the object says so.
        numpy: whether results are to be NumPy arrays.
    """

    points: Any
    offsets: Tensor | None
    numpy: bool


def open_points(value: Any, name: str) -> Opened:  # noqa: ANN401
    """Finds the points of an object.

    Tensors, arrays and whatever has ``__array__`` or ``__dlpack__`` are points themselves. A cloud
    of trimesh or Open3D (legacy or tensor) has vertices, a PyG ``Data`` has ``pos`` and a ``Batch``
    ``ptr`` as well. A mesh is refused: its vertices are no sample of its surface.

    Raises:
        TypeError: a mesh, or a ``Data`` without positions.
    """
    if isinstance(value, Tensor) or value is None:
        return Opened(value, None, numpy=False)
    if isinstance(value, np.ndarray):
        return Opened(value, None, numpy=True)
    library = type(value).__module__.split(".")[0]
    if library in ("trimesh", "open3d"):
        return Opened(_vertices(value, name, library), None, numpy=True)
    if library == "torch_geometric":
        if not isinstance(getattr(value, "pos", None), Tensor):
            raise TypeError(f"{name} is a {type(value).__name__} of PyG without pos")
        return Opened(value.pos, getattr(value, "ptr", None), numpy=False)
    if hasattr(value, "__array__") and not hasattr(value, "__cuda_array_interface__"):
        return Opened(np.asarray(value), None, numpy=True)
    if hasattr(value, "__dlpack__"):
        return Opened(torch.utils.dlpack.from_dlpack(value), None, numpy=False)
    return Opened(value, None, numpy=False)


def _vertices(value: Any, name: str, library: str) -> np.ndarray[Any, Any]:  # noqa: ANN401
    """Returns the points of a cloud of trimesh or Open3D."""
    kind = type(value).__name__
    if kind != "PointCloud":
        raise TypeError(
            f"{name} is a {kind} of {library}, which is no point cloud; sample its surface "
            "(pcclust.read_points does so for files), or pass its vertices as an array"
        )
    if hasattr(value, "vertices"):  # trimesh
        return np.asarray(value.vertices)
    if hasattr(value, "point"):  # Open3D's tensors
        return np.asarray(value.point["positions"].cpu().numpy())
    return np.asarray(value.points)
