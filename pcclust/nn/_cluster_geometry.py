"""Where the clusters of a hierarchy are and what shape they have, in numbers no rotation changes.

Positions are relative to the centroid of their cloud and in float64, so that a rotation, which
rounds the points, is all the noise there is.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.nn._packed import Packed
from pcclust.ops._clouds import Clouds
from pcclust.ops.rri import linked_features

SMALLEST_VARIANCE = 1e-12  # below, a cluster is flat; keeps the square root differentiable
FADING = 0.05  # radians


class Nodes(NamedTuple):
    """The points, or the clusters of one level, of all clouds.

    Attributes:
        positions: ``(M, 3)`` float64, of points or of the centroids of clusters.
        offsets: ``(B + 1,)`` the first node of each cloud, and the end of the last.
        sizes: the nodes of each cloud.
    """

    positions: Tensor
    offsets: Tensor
    sizes: list[int]


class Grouping(NamedTuple):
    """How the points or clusters of one level make up the clusters of the next.

    Attributes:
        owners: ``(M,)`` the cluster of each node.
        clusters: the clusters.
        places: ``(M, 4)`` of each node relative to its cluster: its distance from the centroid of
            the cluster, both their distances from the centroid of the cloud, and the inner product
            of the first with the last.
        shapes: ``(clusters, 4)`` standard deviations of a cluster's points along its principal
            axes, and its share of the cloud's points.
    """

    owners: Tensor
    clusters: Nodes
    places: Tensor
    shapes: Tensor


def point_nodes(clouds: Packed) -> Nodes:
    """Returns the points about the centroids of their clouds."""
    rows = clouds.rows.double()
    cloud = _cloud_of(clouds.sizes, rows)
    centers = _means(rows, cloud, len(clouds.sizes))
    return Nodes(rows - centers[cloud], clouds.offsets, clouds.sizes)


def group(
    points: Nodes, nodes: Nodes, of_points: Tensor, labels: Tensor
) -> tuple[Grouping, Tensor]:
    """Returns the grouping of nodes by the labels of points, and the new cluster of each point.

    Args:
        points: all points.
        nodes: the points themselves, or the clusters of the level before.
        of_points: ``(ΣN,)`` the node of each point.
        labels: ``(ΣN,)`` the label of each point in its cloud at the level wanted.
    """
    cloud = _cloud_of(points.sizes, labels)
    most = int(labels.max()) + 1
    present, clusters = torch.unique(cloud * most + labels, return_inverse=True)
    per_cloud = torch.bincount(present // most, minlength=len(points.sizes))
    owners = clusters.new_empty(len(nodes.positions)).scatter_(0, of_points, clusters)
    if not torch.equal(owners[of_points], clusters):
        raise ValueError("clusters are not nested: one of a level lies in two of the next")
    offsets = torch.cat([per_cloud.new_zeros(1), per_cloud.cumsum(dim=0)])
    centers = _means(points.positions, clusters, len(present))
    made = Nodes(centers, offsets, per_cloud.tolist())
    places = _places(nodes.positions, centers[owners])
    shapes = _shapes(points, clusters, centers, cloud)
    return Grouping(owners, made, places, shapes), clusters


def neighborhoods(nodes: Nodes, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Returns ``(M, k, 4)`` RRI of nodes about the centroid, and ``(M, k)`` rows of neighbours.

    Of two neighbours in nearly one direction, rounding decides which has the gap to the next and
    which has none. So that no output hangs on it, the gap of the second fades away as the two come
    together: φ is multiplied by the gap before it where that is below `FADING`.
    """
    rows, starts = nodes.positions.to(dtype), nodes.offsets[:-1]
    clouds = Clouds(
        rows, starts, nodes.offsets.diff(), rows.shape[:1], packed=False, smallest=min(nodes.sizes)
    )
    features, neighbors, successors = linked_features(clouds, k, "origin", links=True)
    gaps = features[..., 3]
    before = torch.zeros_like(gaps).scatter_add(1, successors.clamp(min=0), gaps)
    faded = gaps * (before / FADING).clamp(max=1)
    features = torch.cat([features[..., :3], faded[..., None]], dim=-1)
    return features, neighbors + starts[_cloud_of(nodes.sizes, neighbors)][:, None]


def _places(positions: Tensor, centers: Tensor) -> Tensor:
    offsets = positions - centers
    lengths = [torch.linalg.vector_norm(each, dim=1) for each in (offsets, positions, centers)]
    return torch.stack([*lengths, (offsets * centers).sum(dim=1)], dim=1)


def _shapes(points: Nodes, clusters: Tensor, centers: Tensor, cloud: Tensor) -> Tensor:
    offsets = points.positions - centers[clusters]
    products = (offsets[:, :, None] * offsets[:, None, :]).flatten(1)
    covariances = _means(products, clusters, len(centers)).view(-1, 3, 3)
    deviations = torch.linalg.eigvalsh(covariances).clamp(min=SMALLEST_VARIANCE).sqrt()
    sizes = torch.tensor(points.sizes, device=cloud.device)
    shares = torch.zeros_like(centers[:, 0]).index_add_(0, clusters, 1.0 / sizes[cloud].double())
    return torch.cat([deviations, shares[:, None]], dim=1)


def _means(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Returns ``(count, C)`` the mean of the values of each owner."""
    sums = values.new_zeros(count, values.shape[1]).index_add(0, owners, values)
    return sums / torch.bincount(owners, minlength=count)[:, None]


def _cloud_of(sizes: list[int], like: Tensor) -> Tensor:
    """Returns the cloud of each row."""
    counts = torch.tensor(sizes, device=like.device)
    return torch.arange(len(sizes), device=like.device).repeat_interleave(counts)
