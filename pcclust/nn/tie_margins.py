"""How near a cloud is to other neighbours and other clusters, where rounding may decide."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pcclust.nn._packed import pack
from pcclust.nn.ward_hierarchy import check_levels
from pcclust.ops.knn import knn
from pcclust.ops.ward import ward_labels, ward_linkage

ROWS_AT_ONCE = 128  # of the table of rivals
DIRECT = "donot_use_mm_for_euclid_dist"  # which would lose half of the digits


def tie_margins(
    points: Tensor,
    num_clusters: Sequence[int],
    neighbors: Sequence[Sequence[int]],
    lengths: Tensor | None = None,
) -> Tensor:
    """Says how little would give some point or cluster another neighbour or another cluster.

    A hierarchy of clusters with graphs of neighbours, such as that of `ClusterNet`, is a chain of
    choices. Each has a margin, and the smallest counts:

    - of k neighbours, how much farther the next one is;
    - of the merge of two clusters in Ward's tree, how much higher one of them would merge with a
      third;
    - of a cut of the tree, how much higher the first merge above it is than the last one below.

    Coincident points are the same point whichever is chosen: they are no tie. Not every tie matters
    to an output, so a small margin is a warning and no proof; a large one is a guarantee.

    Args:
        points: ``(B, N, 3)``.
        num_clusters: clusters of each level, finest first.
        neighbors: the numbers of neighbours in each graph of the points, then of the clusters of
            each level; 0 for none.
        lengths: ``(B,)`` the points of each cloud of a padded batch.

    Returns:
        ``(B,)`` float64, in units of the distance of the farthest point from the centroid; inf
        where there was nothing to choose. No gradient.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, NaN or inf, bad lengths, or numbers of clusters that increase.

    Example:
        >>> import torch
        >>> from pcclust.nn import tie_margins
        >>> line = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [2.5, 0, 0], [8.5, 0, 0]]])
        >>> tie_margins(line, [2], [[1], []]) * 5.5  # the second is 1 from one, 1.5 from another
        tensor([0.5000], dtype=torch.float64)
    """
    levels = check_levels(num_clusters)
    clouds = pack(points.detach(), lengths)
    found = [
        _smallest_margin(cloud.double(), levels, neighbors)
        for cloud in torch.split(clouds.rows, clouds.offsets.diff().tolist())
    ]
    return torch.tensor(found, dtype=torch.float64, device=points.device)


def _smallest_margin(
    cloud: Tensor, levels: Sequence[int], neighbors: Sequence[Sequence[int]]
) -> float:
    cloud = cloud - cloud.mean(dim=0)
    extent = float(torch.linalg.vector_norm(cloud, dim=1).max())
    if extent == 0:
        return math.inf
    levels = [min(level, len(cloud)) for level in levels]
    tree = ward_linkage(cloud)
    margins = [_merge_margin(cloud, tree), *(_cut_margin(tree, level) for level in levels)]
    nodes = [cloud, *(_centroids(cloud, labels) for labels in ward_labels(cloud, levels))]
    for positions, graphs in zip(nodes, neighbors, strict=True):
        margins += [_neighbor_margin(positions, k) for k in graphs if k]
    return min(margins) / extent


def _neighbor_margin(positions: Tensor, k: int) -> float:
    """Returns how much farther the neighbour after the k-th is, at least."""
    if k + 1 >= len(positions):
        return math.inf
    nearest = knn(positions, k + 1, exclude_self=True)
    last, following = positions[nearest.indices[:, -2:]].unbind(dim=1)
    lengths = nearest.distances.sqrt()
    margins = lengths[:, -1] - lengths[:, -2]
    return _least(margins, where=(last != following).any(dim=1))


def _cut_margin(tree: Tensor, clusters: int) -> float:
    """Returns how much higher the first merge above a cut is than the last one below."""
    below = len(tree) + 1 - clusters
    if below == 0 or clusters == 1:
        return math.inf
    return float(tree[below, 2] - tree[below - 1, 2])


def _merge_margin(cloud: Tensor, tree: Tensor) -> float:
    """Returns how much higher a cluster would have merged with another than its partner."""
    steps, count = len(tree), len(cloud)
    step = torch.arange(steps, device=tree.device)
    merged = tree[:, :2].long()
    centers, sizes = _all_clusters(cloud, tree)
    born = torch.cat([step.new_zeros(count), step + 1])
    died = torch.full_like(born, steps)
    died[merged] = step[:, None]
    margins = [math.inf]
    ordered = died[:-1].argsort()  # the last cluster never merges
    for rows in torch.split(ordered, ROWS_AT_ONCE):
        time = died[rows, None]
        there = ((died > time[0]) & (born <= time[-1])).nonzero()[:, 0]  # at one of these times
        apart = torch.cdist(centers[rows], centers[there], compute_mode=DIRECT)
        heights = apart * (2 / (1 / sizes[rows, None] + 1 / sizes[there])).sqrt()
        rivals = (born[there] <= time) & (died[there] > time) & (apart > 0)
        margins.append(_least(heights - tree[time, 2], where=rivals))
    return min(margins)


def _all_clusters(cloud: Tensor, tree: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the centroid and the size of every point and every merge."""
    sizes = [1.0] * len(cloud)
    centers = cloud.tolist()
    for left, right in tree[:, :2].long().tolist():
        total = sizes[left] + sizes[right]
        fraction = sizes[right] / total
        pairs = zip(centers[left], centers[right], strict=True)
        centers.append([a + (b - a) * fraction for a, b in pairs])
        sizes.append(total)
    return cloud.new_tensor(centers), cloud.new_tensor(sizes)


def _centroids(cloud: Tensor, labels: Tensor) -> Tensor:
    count = int(labels.max()) + 1
    sums = cloud.new_zeros(count, 3).index_add_(0, labels, cloud)
    return sums / torch.bincount(labels, minlength=count)[:, None]


def _least(values: Tensor, where: Tensor) -> float:
    return float(values[where].min()) if bool(where.any()) else math.inf
