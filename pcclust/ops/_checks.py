"""What operators check of their arguments, whoever calls them.

The public functions refuse what is wrong in the user's words. Operators are also called by graphs,
under vmap and by hand, where nobody has looked: any tensors of a schema's types give a right answer
or a RuntimeError, on the torch backend by these checks, on the others by those in csrc.
"""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

MOST_POINTS = 2**31 - 1  # of one cloud, and centers: kernels count them with 32 bits


def require(condition: bool, message: str) -> None:
    """Raises RuntimeError with the message unless the condition holds."""
    if not condition:
        raise RuntimeError(message)


def check_slope(slope: float) -> None:
    """Raises unless it is a slope of a LeakyReLU, and a number in float32 too."""
    fits = 0 <= slope <= torch.finfo(torch.float32).max
    require(fits, f"slope must be finite and not negative, got {slope}")


def check_together(tensors: Iterable[Tensor]) -> None:
    """Raises unless all tensors are on one device."""
    devices = {tensor.device for tensor in tensors}
    require(len(devices) <= 1, f"tensors are on several devices: {sorted(map(str, devices))}")


def check_dense(tensors: Iterable[Tensor]) -> None:
    """Raises unless all tensors are contiguous, and on one device that holds values."""
    tensors = list(tensors)
    check_together(tensors)
    for tensor in tensors:
        require(tensor.layout == torch.strided, f"tensors must be strided, got {tensor.layout}")
        require(not tensor.is_meta, "tensors on the meta device hold no values")
        require(tensor.is_contiguous(), "tensors must be contiguous")


def check_clouds(rows: Tensor, starts: Tensor, sizes: Tensor) -> None:
    """Raises unless the clouds lie inside the ``(R, …)`` rows, one behind the other."""
    for table in (starts, sizes):
        right = table.dim() == 1 and table.dtype == torch.int64
        require(right, "starts and sizes must be vectors of int64")
    require(starts.shape == sizes.shape, "as many starts as sizes are needed")
    end, count = 0, rows.shape[0]
    for cloud, (start, size) in enumerate(torch.stack([starts, sizes], dim=1).tolist()):
        fits = end <= start and 0 <= size < MOST_POINTS and start <= count - size
        require(
            fits,
            f"cloud {cloud} of {size} points from row {start} on does not lie inside the "
            f"{count} rows and behind the cloud before it",
        )
        end = start + size


def check_points(points: Tensor, starts: Tensor, sizes: Tensor) -> None:
    """Raises unless these are clouds of finite points; padding may hold anything."""
    check_matrix(points, "points")
    require(points.shape[1] >= 1, "points need at least one dimension")
    check_clouds(points, starts, sizes)
    if bool(torch.isfinite(points.sum())):
        return
    if starts.shape[0] > 0:
        bad = (~torch.isfinite(points).all(dim=1)).nonzero().flatten()
        ends = starts + sizes
        cloud = torch.searchsorted(ends, bad, right=True).clamp(max=len(ends) - 1)
        inside = bool(((starts[cloud] <= bad) & (bad < ends[cloud])).any())
        require(not inside, "points hold NaN or inf")


def check_matrix(
    tensor: Tensor,
    name: str,
    shape: Sequence[int | None] = (None, None),
    dtype: torch.dtype | None = None,
) -> None:
    """Raises unless a tensor has a shape, where None is any size, and a dtype or a floating one."""
    fits = tensor.dim() == len(shape) and all(
        size is None or size == found for size, found in zip(shape, tensor.shape, strict=True)
    )
    require(fits, f"{name} must be of shape {tuple(shape)}, got {tuple(tensor.shape)}")
    dtypes = (torch.float32, torch.float64) if dtype is None else (dtype,)
    require(tensor.dtype in dtypes, f"{name} must be {dtypes}, got {tensor.dtype}")


def check_finite(tensor: Tensor, name: str) -> None:
    """Raises where a number is not finite."""
    require(bool(torch.isfinite(tensor).all()), f"{name} hold NaN or inf")


def check_rows(points: Tensor) -> None:
    """Raises unless these are finite ``(N, D)`` points."""
    check_matrix(points, "points")
    require(points.shape[1] >= 1, "points need at least one dimension")
    check_finite(points, "points")


def check_not_negative(values: Tensor, name: str) -> None:
    """Raises where a number is negative or not finite; inf stands for a square that overflowed."""
    require(bool((values >= 0).all()), f"{name} hold negative numbers or NaN")


def check_labels(labels: Tensor, count: int, clusters: int) -> None:
    """Raises unless there are ``count`` labels, each of them a cluster."""
    check_matrix(labels, "labels", (count,), torch.int64)
    inside = bool(((labels >= 0) & (labels < clusters)).all())
    require(inside, f"a label is none of the {clusters} clusters")
