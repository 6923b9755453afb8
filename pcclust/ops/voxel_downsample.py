"""Thinning out clouds by a grid of voxels."""

from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._clouds import Clouds, cloud_of_rows, flatten

Reduce = Literal["centroid", "first"]
MOST_VOXELS = 2.0**62  # along an axis: their numbers are integers of 64 bits


class Voxels(NamedTuple):
    """What `voxel_downsample` returns: a point for each voxel that has some.

    Attributes:
        points: ``(M, D)`` in the order of the first point of each voxel, cloud after cloud.
        offsets: ``(B + 1,)`` int64, where each cloud begins among them.
        counts: ``(M,)`` int64, how many points each stands for.
        voxels: of the input's leading shape, int64, the row of ``points`` that stands for each
            point; -1 for padding.
    """

    points: Tensor
    offsets: Tensor
    counts: Tensor
    voxels: Tensor


@accepts_numpy
def voxel_downsample(
    points: Tensor,
    voxel_size: float,
    *,
    reduce: Reduce = "centroid",
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
) -> Voxels:
    """Keeps one point of each voxel of a grid: the centroid of its points, or the first of them.

    A point p is in the voxel ``floor(p / voxel_size)``, computed in float64; so the grid begins at
    the origin of the coordinates, and all clouds have the same. The result is ragged, as clouds
    have different numbers of voxels, and does not depend on a seed or on threads.

    Args:
        points: as for `knn`; any dimension, float16 and bfloat16 are computed in float32.
        voxel_size: the edge of a voxel in the unit of the points, above 0.
        reduce: "centroid", differentiable with respect to the points, or "first" in the order of
            the points, which keeps points that were measured.
        lengths: as for `knn`.
        offsets: as for `knn`.
        batch: as for `knn`.

    Returns:
        ``Voxels(points, offsets, counts, voxels)``; the first two are a packed batch.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: a size that is not above 0 or too small for the coordinates, and as for `knn`.

    Example:
        >>> import torch, pcclust
        >>> line = torch.tensor([[0.25, 0, 0], [2.5, 0, 0], [0.75, 0, 0]])
        >>> found = pcclust.voxel_downsample(line, 1.0)
        >>> found.points[:, 0].tolist(), found.counts.tolist(), found.voxels.tolist()
        ([0.5, 2.5], [2, 1], [0, 1, 0])
    """
    size = _checked_size(voxel_size)
    if reduce not in ("centroid", "first"):
        raise ValueError(f"reduce={reduce!r} is neither 'centroid' nor 'first'")
    clouds = flatten(points, lengths, offsets, batch=batch)
    cloud = cloud_of_rows(clouds)
    inside = (cloud >= 0).nonzero().flatten()
    rows, cloud = clouds.rows[inside], cloud[inside]
    voxel, first = _numbered(_cells(rows, size), cloud)
    counts = torch.bincount(voxel, minlength=len(first))
    kept = rows[first] if reduce == "first" else _centroids(rows, voxel, first, counts)
    found = torch.bincount(cloud[first], minlength=len(clouds.sizes))
    return Voxels(
        kept,
        torch.nn.functional.pad(found.cumsum(0), (1, 0)),
        counts,
        _of_all(voxel, inside, clouds),
    )


def _checked_size(size: float) -> float:
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
        raise TypeError(f"voxel_size must be a number, got {type(size).__name__}")
    if not 0 < size < float("inf"):
        raise ValueError(f"voxel_size={size} must be above 0 and finite")
    return float(size)


def _cells(rows: Tensor, size: float) -> Tensor:
    """Returns ``(R, D)`` int64, which voxel each point is in along each axis."""
    cells = (rows.detach().double() / size).floor()
    most = float(cells.abs().max())
    if most > MOST_VOXELS:
        raise ValueError(
            f"voxel_size={size} is too small for coordinates up to "
            f"{float(rows.detach().abs().max()):g}: their voxels cannot be numbered"
        )
    return cells.long()


def _numbered(cells: Tensor, cloud: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the voxel of each row, numbered by their first rows, and these."""
    keys = torch.cat([cloud[:, None], cells], dim=1)
    _, sorted_voxel = torch.unique(keys, dim=0, return_inverse=True)
    row = torch.arange(len(keys), device=keys.device)
    first = torch.full((int(sorted_voxel.max()) + 1,), len(keys), device=keys.device)
    first = first.scatter_reduce(0, sorted_voxel, row, "amin")
    first, order = first.sort()
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order), device=order.device)
    return rank[sorted_voxel], first


def _centroids(rows: Tensor, voxel: Tensor, first: Tensor, counts: Tensor) -> Tensor:
    """Returns means of the points of each voxel, summed in float64 in the order of the points."""
    order = voxel.argsort(stable=True)
    begin = rows[first].detach()
    shifts = (rows - begin[voxel]).double()[order]  # no longer than a voxel
    sums = torch.segment_reduce(shifts, "sum", lengths=counts)
    return (begin + sums / counts[:, None]).to(rows.dtype)


def _of_all(voxel: Tensor, inside: Tensor, clouds: Clouds) -> Tensor:
    """Returns the voxel of each point in the layout of the input; padding has none."""
    everything = torch.full((len(clouds.rows),), -1, device=voxel.device)
    return everything.index_copy(0, inside, voxel).view(clouds.shape)
