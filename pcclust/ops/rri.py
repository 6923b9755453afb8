"""Rigorously rotation-invariant features of every neighbourhood (RRI)."""

import math
from typing import Literal

import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._azimuth import AZIMUTH_TOLERANCE, azimuth_gaps
from pcclust.ops._checks import check_finite, check_matrix, check_points, require
from pcclust.ops._clouds import (
    Clouds,
    check_count,
    cloud_of_rows,
    flatten,
    per_point,
    transposed_hint,
)
from pcclust.ops._distance import may_be_differentiated, nearest_rows, neighbor_rows
from pcclust.ops._magnitude import brought_near, of_rows
from pcclust.ops._neighborhoods import (
    DIRECTION_TOLERANCE,
    Neighborhoods,
    centroids,
    neighborhoods,
    taken,
    turn,
)
from pcclust.ops._registry import call, declare

Center = Literal["centroid", "origin"]
Links = tuple[Tensor, Tensor, Tensor]  # features, neighbors, successors


@accepts_numpy
def rri(
    points: Tensor,
    k: int,
    *,
    center: Center = "centroid",
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
) -> Tensor:
    """Describes the neighbourhood of each point by four numbers that no rotation changes.

    With coordinates relative to the centre and n_i = p_i / ‖p_i‖, each of the k nearest neighbours
    p_ik of a point p_i, itself excluded, gives

    - r_i = ‖p_i‖ and r_ik = ‖p_ik‖,
    - θ_ik, the angle between p_i and p_ik, in [0, π],
    - φ_ik, the gap from p_ik to the next neighbour counter-clockwise about n_i, in [0, 2π]: the
      smallest of the angles, wrapped to [0, 2π), from its projection on the plane orthogonal to
      n_i to those of the other neighbours. The gaps of a point sum to 2π.

    Neighbours whose azimuths agree to 1e-6 rad (float64) or 1e-5 rad (float32) count as one
    direction: in order of distance, then index, all but the last have φ = 0. A neighbour on the
    axis of n_i, and one at the centre, has φ = 0 and is no one's next. A point at the centre has
    θ = φ = 0. A single neighbour has φ = 2π. Nothing is ever NaN.

    Args:
        points: ``(N, 3)`` one cloud, ``(B, N, 3)`` a batch, or packed ``(ΣN, 3)`` with
            ``offsets``; any floating dtype, float16 and bfloat16 are computed in float32.
        k: how many neighbours, from 1 to one less than the points of the smallest cloud.
        center: the fixed point of the rotations: ``"centroid"``, the mean of each cloud, or
            ``"origin"`` of the coordinates.
        lengths: ``(B,)`` the number of points of each cloud of a padded batch.
        offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.
        batch: ``(ΣN,)`` the cloud of each packed point, sorted, as in PyG, instead of ``offsets``.

    Returns:
        ``(N, k, 4)``, ``(B, N, k, 4)`` or ``(ΣN, k, 4)`` of r_i, r_ik, θ_ik, φ_ik, neighbours
        nearest first: lengths in the unit of the points, angles in radians, float32 or float64,
        differentiable to any order. Rows of padding are 0.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: not three-dimensional, no points, NaN or inf, ``k`` beyond a cloud, bad
            lengths or offsets, or an unknown center.

    Backends agree to rounding. On 145 shapes of 1,024 points in the unit sphere (the bundled
    meshes, and 100 of ModelNet's), k = 20, native and torch differ by at most 1.2e-7 in lengths,
    1.7e-6 rad in θ and 2.7e-5 rad in φ in float32 (median of the shapes' largest: 4.3e-6 rad in φ),
    and by 1.1e-16, 1.8e-15 and 1.4e-13 in float64. φ is worst where a neighbour is almost on the
    axis of n_i, which leaves a short projection.

    The representation is that of ClusterNet (Chen et al., "ClusterNet: Deep Hierarchical Cluster
    Network with Rigorously Rotation-Invariant Representation for Point Cloud Analysis", CVPR 2019,
    section 3.1). The wrapped gap and the treatment of degenerate neighbourhoods are our reading.

    Example:
        >>> import torch, pcclust
        >>> cloud = torch.randn(100, 3, dtype=torch.float64)
        >>> turned = cloud @ torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]).double()
        >>> features = pcclust.rri(cloud, k=20)
        >>> features.shape, torch.allclose(features, pcclust.rri(turned, k=20))
        (torch.Size([100, 20, 4]), True)
    """
    clouds = flatten(points, lengths, offsets, batch=batch)
    return per_point(linked_features(clouds, k, center, links=False)[0], clouds)


def linked_features(clouds: Clouds, k: int, center: Center, links: bool) -> Links:
    """Returns features, neighbours and successors, ``(R, k, …)``; the links only where asked for.

    Features are differentiable; neighbours count points of their cloud, successors columns.
    """
    check_count(k, clouds, "k", spare=1)
    _check_center(clouds, center)
    near = brought_near(clouds)
    if near.factors is not None:
        features, neighbors, successors = linked_features(near.clouds, k, center, links)
        return _in_units(features, 1 / of_rows(near.factors, clouds)), neighbors, successors
    origin = clouds.rows.new_zeros(clouds.starts.shape[0], 3) if center == "origin" else None
    arguments = (clouds.rows.detach(), clouds.starts, clouds.sizes, origin, k)
    if not may_be_differentiated(clouds.rows):
        return call("rri_links", *arguments) if links else (call("rri", *arguments),) * 3
    features, neighbors, successors = call("rri_links", *arguments)
    centers = _centroids(clouds) if origin is None else origin
    formula = _differentiable(clouds, centers, neighbors, successors, features[..., 3])
    # The difference is 0: asking for a gradient does not change a bit.
    return features + (formula - formula.detach()), neighbors, successors


def _in_units(features: Tensor, unit: Tensor) -> Tensor:
    """Returns features of scaled clouds with the lengths in the unit of the points."""
    lengths = features[..., :2] * unit[..., None]
    # The diagonal of a cloud as wide as its dtype allows would overflow.
    lengths = lengths.clamp(max=torch.finfo(features.dtype).max)
    return torch.cat([lengths, features[..., 2:]], dim=-1)


def _check_center(clouds: Clouds, center: Center) -> None:
    if clouds.rows.shape[1] != 3:
        hint = transposed_hint(clouds)
        raise ValueError(f"rri needs points in 3 dimensions, got {clouds.rows.shape[1]}{hint}")
    if center not in ("centroid", "origin"):
        raise ValueError(f"center={center!r} is neither 'centroid' nor 'origin'")


def _centroids(clouds: Clouds) -> Tensor:
    """Returns ``(B, 3)`` the centres about which rotations turn."""
    return centroids(clouds.rows, clouds.starts, clouds.sizes, cloud_of_rows(clouds))


def _differentiable(
    clouds: Clouds, centers: Tensor, neighbors: Tensor, successors: Tensor, gaps: Tensor
) -> Tensor:
    """Returns the features as a smooth formula of the points, with the links held fixed.

    φ only has to be right up to a constant: within a group of equal azimuths, and where one group
    is all there is, it is constant.
    """
    at = neighbor_rows(clouds._replace(packed=False), clouds, neighbors)
    tolerance = DIRECTION_TOLERANCE[clouds.rows.dtype]
    seen = neighborhoods(clouds.rows, centers, cloud_of_rows(clouds), at, tolerance)
    smooth = seen.takes_part & (successors >= 0) & (gaps > 0) & (gaps < 2 * math.pi)
    following = taken(seen.normals, successors.clamp(min=0))
    angle = turn(seen.axis, seen.normals, following, smooth)
    return _stacked(seen, angle, neighbors)


def _rri_links_torch(
    points: Tensor, starts: Tensor, sizes: Tensor, centers: Tensor | None, k: int
) -> Links:
    _check_arguments(points, starts, sizes, centers, k)
    clouds = Clouds(points, starts, sizes, points.shape[:1], packed=False, smallest=None)
    if starts.shape[0] == 0 or points.shape[0] == 0:
        links = starts.new_full((points.shape[0], k), -1)
        return points.new_zeros((points.shape[0], k, 4)), links, links.clone()
    if centers is None:
        centers = _centroids(clouds)
    _, neighbors = nearest_rows(clouds[:3], clouds[:3], False, k, True, math.inf)
    at = neighbor_rows(clouds, clouds, neighbors)
    # In float64, so that rounding does not part azimuths that are equal.
    wide = (points.double(), centers.double(), cloud_of_rows(clouds), at)
    seen = neighborhoods(*wide, DIRECTION_TOLERANCE[points.dtype])
    takes_part = seen.takes_part & (neighbors >= 0)
    gaps, successors = azimuth_gaps(_azimuths(seen), takes_part, AZIMUTH_TOLERANCE[points.dtype])
    features = _stacked(seen, gaps, neighbors).clamp(max=torch.finfo(points.dtype).max)
    return features.to(points.dtype), neighbors, successors


def _check_arguments(
    points: Tensor, starts: Tensor, sizes: Tensor, centers: Tensor | None, k: int
) -> None:
    require(k >= 1, f"k must be at least 1, got {k}")
    check_points(points, starts, sizes)
    require(points.shape[1] == 3, f"rri needs 3 dimensions, got {points.shape[1]}")
    enough = bool(((sizes == 0) | (sizes > k)).all())
    require(enough, f"k={k} exceeds the other points of a cloud")
    if centers is not None:
        check_matrix(centers, "centers", (len(starts), 3), points.dtype)
        check_finite(centers, "centers")


def _azimuths(seen: Neighborhoods) -> Tensor:
    """Returns azimuths in [0, 2π] from the neighbour farthest from the axis, the first of such.

    This reference turns with the cloud, so the azimuths themselves are rotation-invariant.
    """
    x, y, z = seen.normals
    distance = torch.where(seen.takes_part, x * x + y * y + z * z, -1)
    farthest = distance.argmax(dim=-1, keepdim=True)
    angle = turn(seen.axis, taken(seen.normals, farthest), seen.normals, seen.takes_part)
    return torch.where(angle < 0, angle + 2 * math.pi, angle)


def _stacked(seen: Neighborhoods, gaps: Tensor, neighbors: Tensor) -> Tensor:
    channels = (seen.radii.expand_as(gaps), seen.neighbor_radii, seen.polar, gaps)
    return torch.where((neighbors >= 0)[..., None], torch.stack(channels, dim=-1), 0)


def _rri_torch(
    points: Tensor, starts: Tensor, sizes: Tensor, centers: Tensor | None, k: int
) -> Tensor:
    return _rri_links_torch(points, starts, sizes, centers, k)[0]


def _rri_links_fake(
    points: Tensor, starts: Tensor, sizes: Tensor, centers: Tensor | None, k: int
) -> Links:
    shape = (points.shape[0], k)
    links = points.new_empty(shape, dtype=torch.int64)
    return points.new_empty((*shape, 4)), links, torch.empty_like(links)


def _rri_fake(
    points: Tensor, starts: Tensor, sizes: Tensor, centers: Tensor | None, k: int
) -> Tensor:
    return points.new_empty((points.shape[0], k, 4))


_ARGUMENTS = "(Tensor points, Tensor starts, Tensor sizes, Tensor? centers, int k)"
declare(f"rri{_ARGUMENTS} -> Tensor", _rri_torch, _rri_fake)
declare(
    f"rri_links{_ARGUMENTS} -> (Tensor features, Tensor neighbors, Tensor successors)",
    _rri_links_torch,
    _rri_links_fake,
)
