"""Where the clusters of a hierarchy are and what shape they have, in numbers no rotation changes.

Positions are relative to the centroid of their cloud and in float64, so that a rotation, which
rounds the points, is all the noise there is.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.nn._packed import Packed, Sizes, Uniform, cloud_of_rows, count_clouds, count_rows
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
    sizes: Sizes


class Grouping(NamedTuple):
    """How the points or clusters of one level make up the clusters of the next.

    Attributes:
        owners: ``(M,)`` the cluster of each node.
        clusters: the clusters.
        places: ``(M, 4)`` of each node relative to its cluster: its distance from the centroid of
            the cluster, both their distances from the centroid of the cloud, and the inner product
            of the first with the last.
        shapes: ``(clusters, 4)`` standard deviations of a cluster's points along its principal
            axes, and its fraction of the cloud's points.
    """

    owners: Tensor
    clusters: Nodes
    places: Tensor
    shapes: Tensor


def point_nodes(clouds: Packed) -> Nodes:
    """Returns the points about the centroids of their clouds."""
    rows = clouds.rows.double()
    cloud = cloud_of_rows(clouds.sizes, rows.device)
    centers = _means(rows, cloud, count_clouds(clouds.sizes))
    return Nodes(rows - centers[cloud], clouds.offsets, clouds.sizes)


def group(
    points: Nodes, nodes: Nodes, of_points: Tensor, labels: Tensor, most: int
) -> tuple[Grouping, Tensor]:
    """Returns the grouping of nodes by the labels of points, and the new cluster of each point.

    Args:
        points: all points.
        nodes: the points themselves, or the clusters of the level before.
        of_points: ``(ΣN,)`` the node of each point.
        labels: ``(ΣN,)`` the label of each point in its cloud at the level wanted.
        most: clusters of this level in a cloud of enough points.
    """
    cloud = cloud_of_rows(points.sizes, labels.device)
    sizes: Sizes
    if isinstance(points.sizes, Uniform):
        sizes, offsets, clusters = _all_clusters(points.sizes, cloud, labels, most)
    else:
        sizes, offsets, clusters = _present_clusters(len(points.sizes), cloud, labels)
    owners = clusters.new_empty(nodes.positions.shape[0]).scatter_(0, of_points, clusters)
    if not isinstance(sizes, Uniform) and not torch.equal(owners[of_points], clusters):
        raise ValueError("clusters are not nested: one of a level lies in two of the next")
    centers = _means(points.positions, clusters, count_rows(sizes))
    places = _places(nodes.positions, centers[owners])
    shapes = _shapes(points, clusters, centers, cloud)
    return Grouping(owners, Nodes(centers, offsets, sizes), places, shapes), clusters


def _all_clusters(
    points: Uniform, cloud: Tensor, labels: Tensor, most: int
) -> tuple[Uniform, Tensor, Tensor]:
    """Numbers clusters in a graph, where all clouds have all labels and nobody can look."""
    each = min(most, points.rows)
    offsets = torch.arange(points.clouds + 1, device=labels.device) * each
    return Uniform(points.clouds, each), offsets, cloud * each + labels


def _present_clusters(
    clouds: int, cloud: Tensor, labels: Tensor
) -> tuple[list[int], Tensor, Tensor]:
    """Numbers the clusters that have points."""
    most = int(labels.max()) + 1
    present, clusters = torch.unique(cloud * most + labels, return_inverse=True)
    per_cloud = torch.bincount(present // most, minlength=clouds)
    offsets = torch.cat([per_cloud.new_zeros(1), per_cloud.cumsum(dim=0)])
    return per_cloud.tolist(), offsets, clusters


def neighborhoods(nodes: Nodes, k: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Returns ``(M, k, 4)`` RRI of nodes about the centroid, and ``(M, k)`` places in the cloud.

    Of two neighbours in nearly one direction, rounding decides which has the gap to the next and
    which has none. So that no output hangs on it, the gap of the second fades away as the two come
    together: φ is multiplied by the gap before it where that is below `FADING`.
    """
    rows, starts = nodes.positions.to(dtype), nodes.offsets[:-1]
    smallest = nodes.sizes.rows if isinstance(nodes.sizes, Uniform) else min(nodes.sizes)
    clouds = Clouds(rows, starts, nodes.offsets.diff(), rows.shape[:1], False, smallest)
    features, neighbors, successors = linked_features(clouds, k, "origin", links=True)
    gaps = features[..., 3]
    before = torch.zeros_like(gaps).scatter_add(1, successors.clamp(min=0), gaps)
    fading = (before / FADING).clamp(max=1)
    if features.requires_grad:
        faded = gaps * fading
        features = torch.cat([features[..., :3], faded[..., None]], dim=-1)
    else:
        gaps.mul_(fading)
    return features, neighbors


def _places(positions: Tensor, centers: Tensor) -> Tensor:
    offsets = positions - centers
    lengths = [torch.linalg.vector_norm(each, dim=1) for each in (offsets, positions, centers)]
    return torch.stack([*lengths, (offsets * centers).sum(dim=1)], dim=1)


def _shapes(points: Nodes, clusters: Tensor, centers: Tensor, cloud: Tensor) -> Tensor:
    offsets = points.positions - centers[clusters]
    products = (offsets[:, :, None] * offsets[:, None, :]).flatten(1)
    covariances = _means(products, clusters, centers.shape[0]).view(-1, 3, 3)
    deviations = torch.linalg.eigvalsh(covariances).clamp(min=SMALLEST_VARIANCE).sqrt()
    fraction = 1.0 / points.offsets.diff()[cloud].double()
    fractions = torch.zeros_like(centers[:, 0]).index_add_(0, clusters, fraction)
    return torch.cat([deviations, fractions[:, None]], dim=1)


def _means(values: Tensor, owners: Tensor, count: int) -> Tensor:
    """Returns ``(count, C)`` the mean of the values of each owner."""
    sums = values.new_zeros(count, values.shape[1]).index_add(0, owners, values)
    # A sum of ones and no bincount, of which a compiler would not know how long it is.
    ones = torch.ones_like(values[:, 0])
    return sums / values.new_zeros(count).index_add(0, owners, ones)[:, None]
