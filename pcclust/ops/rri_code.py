"""RRI with the links that make it lossless, and the way back from them to the cloud."""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy, to_numpy, to_tensor
from pcclust.ops._clouds import Clouds, cloud_of_rows, flatten, per_point
from pcclust.ops._gluing import glue
from pcclust.ops._neighborhoods import DIRECTION_TOLERANCE
from pcclust.ops.rri import Center, linked_features


class RRICode(NamedTuple):
    """What `rri_encode` returns: the features of `rri` and who the neighbours are.

    Attributes:
        features: ``(…, N, k, 4)`` of r_i, r_ik, θ_ik, φ_ik.
        neighbors: ``(…, N, k)`` int64 positions in the cloud (rows of the packed tensor with
            ``offsets``), nearest first; -1 on rows of padding.
        successors: ``(…, N, k)`` int64, which of the k neighbours comes next counter-clockwise;
            -1 for a neighbour without azimuth.
    """

    features: Tensor
    neighbors: Tensor
    successors: Tensor


@accepts_numpy
def rri_encode(
    points: Tensor,
    k: int,
    *,
    center: Center = "centroid",
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
) -> RRICode:
    """Computes RRI together with the links that `rri_decode` needs to rebuild the cloud.

    The features alone do not determine a cloud: as a set, they do not even determine one
    neighbourhood. With the indices of the neighbours and their order around the axis they do.

    Args:
        points: as for `rri`.
        k: as for `rri`.
        center: as for `rri`.
        lengths: as for `rri`.
        offsets: as for `rri`.

    Returns:
        ``RRICode(features, neighbors, successors)``.

    Raises:
        TypeError: as for `rri`.
        ValueError: as for `rri`.

    Example:
        >>> import torch, pcclust
        >>> code = pcclust.rri_encode(torch.randn(50, 3), k=8)
        >>> code.features.shape, code.neighbors.shape, code.successors.shape
        (torch.Size([50, 8, 4]), torch.Size([50, 8]), torch.Size([50, 8]))
    """
    clouds = flatten(points, lengths, offsets)
    features, neighbors, successors = linked_features(clouds, k, center, links=True)
    if clouds.packed:
        neighbors = neighbors + clouds.starts[cloud_of_rows(clouds)][:, None]
    return RRICode(*(per_point(part, clouds) for part in (features, neighbors, successors)))


def rri_decode(
    code: RRICode, *, lengths: Tensor | None = None, offsets: Tensor | None = None
) -> Tensor:
    """Rebuilds clouds from their RRI code, up to one rotation of each about its centre.

    Radii, polar angles and the gaps summed along the successors place the neighbours of each
    point in a frame of its own, whose third axis goes through the point. The frame with the widest
    neighbourhood is kept as it is; every other is turned into place (Kabsch, determinant +1, so no
    reflection) as soon as points of its neighbourhood are placed in two directions from the
    centre, best conditioned first. Where several frames place a point, their mean is taken.

    A cloud can be rebuilt if this reaches every point. It needs a connected kNN graph; where two
    parts of a graph hang together by a single point, or only through the centre, the angle between
    them is not in the code. Points at the centre come back exactly there, and neighbours without
    azimuth on the axis, both to the tolerance of `rri`.

    Args:
        code: of `rri_encode`, for one cloud ``(N, k, 4)``, a batch ``(B, N, k, 4)``, or packed
            with ``offsets``.
        lengths: ``(B,)`` the number of points of each cloud of a padded batch.
        offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.

    Returns:
        ``(N, 3)``, ``(B, N, 3)`` or ``(ΣN, 3)`` points relative to the centre, of the dtype of the
        features (computed in float64) on their device; NumPy for a code of arrays. Rows of padding
        are 0.

    Raises:
        ValueError: the kNN graph of a cloud is not connected (the message counts its components),
            or the cloud is not determined, or the code is damaged: wrong shapes, values that are
            not finite, indices out of range, successors that are not one cycle.

    Example:
        >>> import torch, pcclust
        >>> cloud = torch.randn(50, 3, dtype=torch.float64)
        >>> again = pcclust.rri_decode(pcclust.rri_encode(cloud, k=8))
        >>> torch.allclose(torch.pdist(cloud), torch.pdist(again))
        True
    """
    tensors = RRICode(*(to_tensor(part) for part in code))
    clouds = _clouds_of(tensors, lengths, offsets)
    features = tensors.features.detach().double().cpu().reshape(-1, *tensors.features.shape[-2:])
    neighbors = tensors.neighbors.cpu().reshape(features.shape[:2])
    successors = tensors.successors.cpu().reshape(features.shape[:2])
    points = torch.zeros(features.shape[0], 3, dtype=torch.float64)
    tolerance = DIRECTION_TOLERANCE[tensors.features.dtype]
    for cloud, (start, size) in enumerate(
        zip(clouds.starts.tolist(), clouds.sizes.tolist(), strict=True)
    ):
        rows = slice(start, start + size)
        local = neighbors[rows] - (start if clouds.packed else 0)
        parts = (features[rows].numpy(), local.numpy(), successors[rows].numpy())
        try:
            points[rows] = torch.from_numpy(glue(*parts, tolerance))
        except ValueError as error:
            raise ValueError(f"cloud {cloud} cannot be decoded: {error}") from None
    result = per_point(points.to(tensors.features.dtype), clouds).to(tensors.features.device)
    return to_numpy(result) if tensors.features is not code.features else result


def _clouds_of(code: RRICode, lengths: Tensor | None, offsets: Tensor | None) -> Clouds:
    """Checks the shapes of a code and returns the layout of its clouds."""
    features, neighbors, successors = code
    shape = tuple(features.shape)
    if features.dim() not in (3, 4) or shape[-1] != 4:
        raise ValueError(f"features must be (N, k, 4) or (B, N, k, 4), got {shape}")
    for name, links in (("neighbors", neighbors), ("successors", successors)):
        if tuple(links.shape) != shape[:-1] or links.is_floating_point():
            raise ValueError(
                f"{name} must be integers of shape {shape[:-1]}, "
                f"got {links.dtype} of shape {tuple(links.shape)}"
            )
    # The radii stand in for points: they have the same layout, and are checked to be finite.
    return flatten(
        features.detach().flatten(-2), to_tensor(lengths), to_tensor(offsets), "features"
    )
