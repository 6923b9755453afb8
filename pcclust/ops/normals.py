"""Normals of surfaces from their points."""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy, to_tensor
from pcclust.ops._clouds import Clouds, cloud_of_rows, flatten
from pcclust.ops._neighborhoods import centroids
from pcclust.ops.knn import knn

LEAST = 3  # points that span a plane
ROWS_AT_ONCE = 1 << 15
# Below this share of the largest, a variance may be rounding of the eigenvalues in float64.
FLAT = 1e-14
ROUNDINGS = 4  # of its coordinates, by which a point may be off its line


class Normals(NamedTuple):
    """What `normals` returns: a direction for each point, and how curved the surface is there."""

    normals: Tensor
    variation: Tensor


@accepts_numpy
def normals(
    points: Tensor,
    k: int = 16,
    *,
    viewpoint: Tensor | None = None,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
) -> Normals:
    """Estimates the normal of the surface at each point from its nearest neighbours.

    The normal is the direction in which the k nearest points (the point itself is one) vary least.
    Its sign is a choice: towards ``viewpoint``, where a scanner stood; otherwise away from the
    centroid of the cloud, which turns with the cloud. Where the two are at right angles the first
    component that is not 0 is positive.

    Args:
        points: ``(N, 3)`` one cloud, ``(B, N, 3)`` a batch, or packed ``(ΣN, 3)`` with
            ``offsets``; float16 and bfloat16 are computed in float32.
        k: how many points, from 3 to the points of the smallest cloud.
        viewpoint: ``(3,)`` for all clouds or ``(B, 3)``, in the coordinates of the points.
        lengths: as for `knn`.
        offsets: as for `knn`.
        batch: as for `knn`.

    Returns:
        ``Normals(normals, variation)``: ``(…, 3)`` of length 1 and ``(…,)``, the smallest of the
        three variances as a share of their sum, from 0 (a plane) to 1/3. Where the points lie on a
        line, or are one, no normal is singled out: it is 0, and so is the variation. So are rows of
        padding. Without gradients.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: not three-dimensional, a viewpoint of another shape or not finite, and as `knn`.

    Source: Hoppe et al., "Surface reconstruction from unorganized points" (1992); the variation is
    that of Pauly et al., "Efficient simplification of point-sampled surfaces" (2002).

    Example:
        >>> import torch, pcclust
        >>> x, y = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
        >>> floor = torch.stack([x, y, torch.zeros(4, 4)], dim=-1).view(-1, 3)
        >>> found = pcclust.normals(floor, k=5, viewpoint=torch.tensor([0.0, 0, 9]))
        >>> found.normals[0].tolist(), float(found.variation.max())
        ([0.0, 0.0, 1.0], 0.0)
    """
    clouds = flatten(points, lengths, offsets, batch=batch)
    if clouds.rows.shape[1] != 3:
        raise ValueError(f"normals need points in 3 dimensions, got {clouds.rows.shape[1]}")
    if isinstance(k, int) and k < LEAST:
        raise ValueError(f"k={k} must be at least {LEAST}, the points that span a plane")
    exact, cloud = clouds.rows.detach().double(), cloud_of_rows(clouds)
    outward = exact - _reference(clouds, viewpoint)[cloud.clamp(min=0)]
    nearest = knn(points.detach(), k, lengths=lengths, offsets=offsets, batch=batch).indices
    nearest = nearest.view(-1, k)
    if not clouds.packed:
        nearest = nearest + clouds.starts[cloud.clamp(min=0), None]
    found = exact.new_zeros(len(exact), 4)
    for rows in torch.split((cloud >= 0).nonzero().flatten(), ROWS_AT_ONCE):
        found[rows] = _of_neighborhoods(exact[nearest[rows]], torch.finfo(clouds.rows.dtype).eps)
    directions = _oriented(found[:, :3], outward if viewpoint is None else -outward)
    dtype = clouds.rows.dtype
    return Normals(
        directions.to(dtype).view(*clouds.shape, 3), found[:, 3].to(dtype).view(clouds.shape)
    )


def _reference(clouds: Clouds, viewpoint: Tensor | None) -> Tensor:
    """Returns ``(B, 3)`` float64, the point of each cloud that decides about signs."""
    if viewpoint is None:
        cloud = cloud_of_rows(clouds)
        found = centroids(clouds.rows.detach().double(), clouds.starts, clouds.sizes, cloud)
        return found
    at = torch.as_tensor(to_tensor(viewpoint), device=clouds.rows.device).double()
    if at.shape not in ((3,), (len(clouds.sizes), 3)):
        raise ValueError(
            f"viewpoint must be (3,) or ({len(clouds.sizes)}, 3), got {tuple(at.shape)}"
        )
    if not bool(at.isfinite().all()):
        raise ValueError("viewpoint holds NaN or inf")
    return at.expand(len(clouds.sizes), 3)


def _of_neighborhoods(near: Tensor, eps: float) -> Tensor:
    """Returns ``(R, 4)``: the normal without its sign, and the variation.

    Args:
        near: ``(R, k, 3)`` float64 points.
        eps: the relative rounding of their coordinates.
    """
    shifts = near - near[:, :1]
    size = shifts.abs().amax(dim=(1, 2), keepdim=True)
    unit = torch.where(size > 0, size, 1)
    shifts = shifts / unit
    shifts = shifts - shifts.mean(dim=1, keepdim=True)
    variances, axes = torch.linalg.eigh(shifts.mT @ shifts)
    variances = variances.clamp(min=0)
    off = ROUNDINGS * eps * near.abs().amax(dim=(1, 2)) / unit[:, 0, 0]
    rounding = torch.maximum(FLAT * variances[:, 2], near.shape[1] * off.square())
    spans = variances[:, 1] > rounding
    share = variances[:, 0] / variances.sum(dim=1).clamp(min=1e-300)
    found = torch.cat([axes[:, :, 0], share[:, None]], dim=1)
    return torch.where(spans[:, None], found, 0)


def _oriented(directions: Tensor, outward: Tensor) -> Tensor:
    """Returns directions that point outward, or where that says nothing, up the first axis."""
    along = (directions * outward).sum(dim=1)
    first = directions.gather(1, (directions != 0).int().argmax(dim=1, keepdim=True))[:, 0]
    sign = torch.where(along == 0, first, along)
    return torch.where(sign[:, None] < 0, -directions, directions)
