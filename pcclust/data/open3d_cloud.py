"""Clouds for Open3D."""

from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from pcclust._extras import require


def to_open3d(points: ArrayLike | torch.Tensor, **values: ArrayLike | torch.Tensor) -> Any:  # noqa: ANN401
    """Returns a cloud of Open3D, to draw it there or to go on with its tools.

    The way back needs nothing: every function of pcclust takes Open3D's clouds as points.

    Args:
        points: ``(N, 3)`` torch or NumPy; float16 and bfloat16 become float32.
        **values: ``(N,)`` or ``(N, C)`` of the points, by name: ``normals=`` are those that Open3D
            draws with, ``colors=`` its colours in [0, 1].

    Returns:
        An ``open3d.t.geometry.PointCloud`` on the CPU.

    Raises:
        ImportError: Open3D is not installed.
        ValueError: other shapes.

    Example:
        >>> import pcclust, torch
        >>> points = torch.rand(100, 3)
        >>> cloud = to_open3d(points, normals=pcclust.normals(points).normals)  # doctest: +SKIP
        >>> pcclust.rri(cloud, k=8).shape  # doctest: +SKIP
        (100, 8, 4)
    """
    placed = _array(points)
    if placed.ndim != 2 or placed.shape[1] != 3:
        raise ValueError(f"points must be (N, 3), got {placed.shape}")
    columns = {"positions": placed, **{name: _array(of) for name, of in values.items()}}
    for name, column in columns.items():
        if column.ndim not in (1, 2) or len(column) != len(placed):
            raise ValueError(
                f"{name} {column.shape} must have a row for each of {len(placed)} points"
            )
    open3d = require("open3d", "Open3D's clouds")
    cloud = open3d.t.geometry.PointCloud()
    for name, column in columns.items():
        cloud.point[name] = open3d.core.Tensor(column.reshape(len(column), -1))
    return cloud


def _array(values: ArrayLike | torch.Tensor) -> NDArray[Any]:
    """Returns numbers in memory of their own, of a type that Open3D has."""
    if isinstance(values, torch.Tensor):
        tensor = values.detach().cpu()
        values = (
            tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor
        ).numpy()
    array = np.array(values, order="C")
    return array.astype(np.float32) if array.dtype == np.float16 else array
