"""One flat view of every layout in which point clouds come: single, dense, padded, packed."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcclust.ops._layouts import (
    check_points,
    from_batch,
    from_offsets,
    offsets_of,
    readable,
    shape_of,
)

# Clouds whose largest coordinate is in here have squared distances, and products of those, that
# neither overflow nor vanish, in any dimension.
ORDINARY = {torch.float32: (2.0**-20, 2.0**30), torch.float64: (2.0**-200, 2.0**200)}


class Clouds(NamedTuple):
    """The points of one or many clouds as rows of one matrix.

    Attributes:
        rows: ``(R, D)`` contiguous; float32, or float64 where the input was.
        starts: ``(B,)`` int64, the first row of each cloud.
        sizes: ``(B,)`` int64, the number of points of each cloud.
        shape: the leading shape of the input, ``(N,)``, ``(B, N)`` or ``(ΣN,)``; per-point results
            are reshaped to it.
        packed: whether indices count rows of the packed tensor instead of points of a cloud.
        smallest: the points in the smallest cloud, or None where only the data tells (in a graph).
        ordinary: whether every cloud is known to be `ORDINARY`, or could not be looked at.
    """

    rows: Tensor
    starts: Tensor
    sizes: Tensor
    shape: tuple[int, ...]
    packed: bool
    smallest: int | None
    ordinary: bool = True


def flatten(
    points: Tensor,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    name: str = "points",
    batch: Tensor | None = None,
) -> Clouds:
    """Checks points in any layout and lays them out as rows.

    Args:
        points: ``(N, D)``, ``(B, N, D)`` or, with ``offsets``, ``(ΣN, D)``.
        lengths: ``(B,)`` integers, the points of each padded cloud.
        offsets: ``(B + 1,)`` integers, where each packed cloud begins and the last ends.
        name: what messages call the points.
        batch: ``(ΣN,)`` integers, the cloud of each packed point, instead of ``offsets``.

    Raises:
        TypeError: not a floating tensor.
        ValueError: wrong shape, no points, NaN or inf, or impossible lengths or offsets.
    """
    check_points(points, name)
    if batch is not None:
        if lengths is not None or offsets is not None:
            raise ValueError(f"{name}: give one of lengths, offsets and batch")
        offsets = offsets_of(batch, points, name)
    if lengths is not None and offsets is not None:
        raise ValueError(f"{name}: give lengths (padded) or offsets (packed), not both")
    if offsets is not None:
        starts, sizes = from_offsets(points, offsets, name)
    elif points.dim() == 2:
        if lengths is not None:
            raise ValueError(f"{name}: lengths need a (B, N, D) batch, got {shape_of(points)}")
        starts = torch.zeros(1, dtype=torch.int64, device=points.device)
        sizes = torch.full((1,), points.shape[0], dtype=torch.int64, device=points.device)
    else:
        starts, sizes = from_batch(points, lengths, name)
    rows = working_precision(points).reshape(-1, points.shape[-1]).contiguous()
    smallest = _smallest(points, sizes, lengths is None and offsets is None)
    shape = tuple(points.shape[:-1])
    clouds = Clouds(rows, starts, sizes, shape, offsets is not None, smallest)
    if readable(rows) and readable(sizes) and not _look(clouds, name):
        return clouds._replace(ordinary=False)
    return clouds


def working_precision(points: Tensor) -> Tensor:
    """Returns float32 for float16 and bfloat16, and the tensor itself otherwise."""
    return points.to(working_dtype(points.dtype))


def working_dtype(dtype: torch.dtype) -> torch.dtype:
    """Returns float32 for float16 and bfloat16, and the dtype itself otherwise."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def per_point(rows: Tensor, clouds: Clouds) -> Tensor:
    """Returns what was computed for each row in the leading shape of the input."""
    return rows if len(clouds.shape) == 1 else rows.view(*clouds.shape, *rows.shape[1:])


def cloud_of_rows(clouds: Clouds) -> Tensor:
    """Returns ``(R,)`` int64, the cloud of each row; rows of padding get -1."""
    row = torch.arange(clouds.rows.shape[0], device=clouds.rows.device)
    if clouds.starts.shape[0] == 0:
        return torch.full_like(row, -1)
    cloud = torch.searchsorted(clouds.starts + clouds.sizes, row, right=True)
    cloud = cloud.clamp(max=clouds.starts.shape[0] - 1)
    return torch.where((row >= clouds.starts[cloud]) & _in_cloud(row, cloud, clouds), cloud, -1)


def _in_cloud(row: Tensor, cloud: Tensor, clouds: Clouds) -> Tensor:
    return row < clouds.starts[cloud] + clouds.sizes[cloud]


def check_count(count: int, clouds: Clouds, name: str, spare: int = 0) -> None:
    """Raises ValueError unless ``1 <= count <= size - spare`` for every cloud.

    Args:
        count: how many points are asked for.
        clouds: where they are taken from.
        name: what messages call the count.
        spare: points of a cloud that cannot be taken (1 where a point is no neighbour of itself).
    """
    if isinstance(count, bool) or not isinstance(count, (int, np.integer, torch.SymInt)):
        raise TypeError(f"{name} must be an int, got {type(count).__name__}")
    if count <= 0:
        raise ValueError(f"{name}={count} must be at least 1")
    if clouds.smallest is None:
        return
    if torch.compiler.is_compiling():
        torch._check(count <= clouds.smallest - spare)  # type: ignore[no-untyped-call]
    elif count > clouds.smallest - spare:
        cloud, size = _first_below(count + spare, clouds)
        others = f"{size - spare} other points" if spare else f"{size} points"
        hint = transposed_hint(clouds) if size == 3 else ""
        raise ValueError(f"{name}={count} exceeds the {others} of cloud {cloud}{hint}")


def transposed_hint(clouds: Clouds) -> str:
    """Returns a question where the points look like ``(3, N)`` instead of ``(N, 3)``."""
    turned = len(clouds.shape) > 0 and clouds.shape[-1] == 3 and clouds.rows.shape[1] > 3
    return "; did you mean to transpose the points to (…, N, 3)?" if turned else ""


def _first_below(count: int, clouds: Clouds) -> tuple[int, int]:
    """Returns the number and the size of the first cloud with fewer points than ``count``."""
    if not readable(clouds.sizes) or clouds.sizes.numel() == 0:
        return 0, clouds.smallest or 0
    cloud = int((clouds.sizes < count).nonzero()[0])
    return cloud, int(clouds.sizes[cloud])


def _smallest(points: Tensor, sizes: Tensor, uniform: bool) -> int | None:
    if uniform:
        return points.shape[-2]
    if not readable(sizes) or sizes.numel() == 0:
        return None
    return int(sizes.min())


def _look(clouds: Clouds, name: str) -> bool:
    """Refuses NaN and inf; returns whether all clouds are surely `ORDINARY`, in one fast pass."""
    if clouds.rows.numel() == 0:
        return True
    rows = clouds.rows.detach()
    low, high = rows.aminmax()
    largest = max(-float(low), float(high))
    if not math.isfinite(largest):
        check_finite(clouds, name)
    least, most = ORDINARY[rows.dtype]
    if len(clouds.shape) == 1 and not clouds.packed:
        return least <= largest <= most
    # Where the first point of a cloud is large enough, so is the largest.
    first = rows.index_select(0, clouds.starts).abs().amax(dim=1)
    return largest <= most and float(first.min()) >= least


def check_finite(clouds: Clouds, name: str) -> None:
    """Raises ValueError at the first point with a NaN or inf; padding may hold anything."""
    # A finite sum proves all finite in one fast pass; a sum may also overflow, so look closer.
    if bool(torch.isfinite(clouds.rows.sum())):
        return
    bad = ~torch.isfinite(clouds.rows).all(dim=1) & (cloud_of_rows(clouds) >= 0)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        index = tuple(int(i) for i in np.unravel_index(row, clouds.shape))
        at = ", ".join(str(i) for i in index)
        raise ValueError(f"{name}[{at}] is not finite: {clouds.rows[row].tolist()}")
