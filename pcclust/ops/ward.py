"""Ward's agglomerative clustering: the tree of merges, and flat clusters at any level of it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._checks import check_clouds, check_matrix, check_points, require
from pcclust.ops._clouds import Clouds, check_count, flatten
from pcclust.ops._registry import call, declare


@accepts_numpy
def ward_linkage(
    points: Tensor,
    *,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
) -> Tensor:
    """Merges the points of a cloud step by step, always the two clusters that cost least.

    Merging clusters a and b costs the growth of the sum of squares, ``|a| |b| / (|a| + |b|)`` times
    the squared distance of their centroids; the height of the merge is the square root of twice
    that, as in SciPy. Everything is computed in float64 about the middle of the cloud, in O(N)
    memory and about O(N log N) time for points in space (O(N²) at worst).

    Args:
        points: as for `knn`; any dimension.
        lengths: as for `knn`.
        offsets: as for `knn`.
        batch: as for `knn`.

    Returns:
        float64 rows in the format of ``scipy.cluster.hierarchy.linkage``: the two merged clusters
        (row t makes cluster N + t of its cloud), the height, the number of points. Shape
        ``(N - 1, 4)`` or ``(B, N - 1, 4)``; with ``lengths``, a cloud of n points has n - 1 rows
        and then ``(-1, -1, inf, 0)``; with ``offsets``, the rows of all clouds are packed,
        ``(ΣN - B, 4)``. No gradient.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, no points, NaN or inf, bad lengths or offsets.

    Ties are decided as in SciPy's nearest-neighbour chain, by the lower index, so that every
    backend returns the same bits.

    Source: Ward, "Hierarchical grouping to optimize an objective function" (1963); Murtagh, "A
    survey of recent advances in hierarchical clustering algorithms" (1983).

    Example:
        >>> import torch, pcclust
        >>> line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [5, 0, 0]])
        >>> pcclust.ward_linkage(line)[:, [0, 1, 3]].tolist()
        [[0.0, 1.0, 2.0], [2.0, 3.0, 3.0]]
    """
    clouds = flatten(points, lengths, offsets, batch=batch)
    linkage = _linkage(clouds)
    if points.dim() == 2:
        return linkage
    return linkage.view(points.shape[0], points.shape[1] - 1, 4)


@accepts_numpy
def ward_labels(
    points: Tensor,
    num_clusters: int | Sequence[int],
    *,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
) -> Tensor:
    """Clusters the points of each cloud by Ward's method, at one or several levels.

    Args:
        points: as for `ward_linkage`.
        num_clusters: clusters in each cloud, from 1 to the points of the smallest cloud; a sequence
            cuts the same tree once for each, so that the levels are nested.
        lengths: as for `knn`.
        offsets: as for `knn`.
        batch: as for `knn`.

    Returns:
        int64 labels of the points' leading shape, ``(N,)``, ``(B, N)`` or ``(ΣN,)``; for a sequence
        of L levels ``(L, N)``, ``(B, L, N)`` or ``(L, ΣN)``. Labels count from 0 in each cloud by
        first appearance, so they are the same in every run; padding is -1.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: ``num_clusters`` out of range, and as for `ward_linkage`.

    Example:
        >>> import torch, pcclust
        >>> line = torch.tensor([[0.0, 0, 0], [9, 0, 0], [1, 0, 0], [5, 0, 0]])
        >>> pcclust.ward_labels(line, [2, 3]).tolist()
        [[0, 1, 0, 1], [0, 1, 0, 2]]
    """
    clouds = flatten(points, lengths, offsets, batch=batch)
    several = isinstance(num_clusters, Sequence)
    levels = list(num_clusters) if isinstance(num_clusters, Sequence) else [num_clusters]
    if not levels:
        raise ValueError("num_clusters is an empty sequence")
    for level in levels:
        check_count(level, clouds, "num_clusters")
    linkage = _linkage(clouds)
    labels: Tensor = call("ward_cut", linkage, clouds.starts, clouds.sizes, levels)
    if not several:
        return labels.view(clouds.shape)
    if points.dim() == 2:
        return labels
    return labels.view(len(levels), *clouds.shape).transpose(0, 1).contiguous()


def _linkage(clouds: Clouds) -> Tensor:
    linkage: Tensor = call("ward_linkage", clouds.rows.detach(), clouds.starts, clouds.sizes)
    return linkage


Merge = tuple[int, int, float]  # two clusters, each named by one of its points, and the cost


def _ward_linkage_torch(points: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    check_points(points, starts, sizes)
    require(bool((sizes > 0).all()), "a cloud is empty")
    no_merge = torch.tensor([-1, -1, math.inf, 0], dtype=torch.float64)
    linkage = no_merge.repeat(points.shape[0] - starts.shape[0], 1)
    for cloud, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        centred, exponent = _centre(points[start : start + size].double().cpu())
        rows = _linkage_rows(_Chain(centred).run(), 2.0**exponent)
        # Cloud c's rows begin at its first point less c.
        linkage[start - cloud : start - cloud + size - 1] = rows
    return linkage.to(points.device)


def _centre(points: Tensor) -> tuple[Tensor, int]:
    """Returns a cloud about the middle of its box, scaled by a power of two, and that exponent.

    So no square overflows or underflows, and nothing is lost to where the cloud lies.
    """
    exponent = min(max(math.frexp(float(points.abs().max()))[1], -1000), 1000)
    points = points * 2.0**-exponent
    low, high = points.amin(dim=0), points.amax(dim=0)
    return points - (low + (high - low) * 0.5), exponent


class _Chain:
    """The nearest-neighbour chain over one cloud, step by step as csrc/core/ward.h.

    A cluster is named by one of its points, the larger name survives a merge.
    """

    def __init__(self, points: Tensor) -> None:
        self.centroids = points
        self.sizes = points.new_ones(len(points))
        self.alive = torch.ones(len(points), dtype=torch.bool)
        self.chain: list[tuple[float, int]] = []  # cost of the merge with the one before, name

    def run(self) -> list[Merge]:
        """Returns all merges, each before those that build on it."""
        merges: list[Merge] = []
        while len(merges) < len(self.sizes) - 1:
            if not self.chain:
                self.chain.append((0.0, int(self.alive.int().argmax())))
            merge = self._extend()
            if merge is not None:
                merges.append(merge)
        return merges

    def _extend(self) -> Merge | None:
        """Steps to the nearest cluster, or merges the last two; the previous wins ties."""
        last = self.chain[-1][1]
        costs = self._costs(last)
        nearest = int(costs.argmin())
        if len(self.chain) < 2 or float(costs[nearest]) < self.chain[-1][0]:
            names = [name for _, name in self.chain]
            if nearest in names:  # rounding made a merged cluster come nearer than its parts
                del self.chain[names.index(nearest) + 1 :]
            else:
                self.chain.append((float(costs[nearest]), nearest))
            return None
        cost, _ = self.chain.pop()
        previous = self.chain.pop()[1]
        left, right = min(last, previous), max(last, previous)
        self._merge(left, right)
        return left, right, cost

    def _costs(self, name: int) -> Tensor:
        """Returns ``(N,)`` costs of merging with every cluster, inf where there is none."""
        total = torch.zeros_like(self.sizes)
        for axis in range(self.centroids.shape[1]):
            difference = self.centroids[:, axis] - self.centroids[name, axis]
            total += difference * difference
        size = self.sizes[name]
        total *= (size * self.sizes) / (size + self.sizes)
        total[~self.alive] = math.inf
        total[name] = math.inf
        return total

    def _merge(self, left: int, right: int) -> None:
        fraction = self.sizes[left] / (self.sizes[left] + self.sizes[right])
        base = self.centroids[right]
        self.centroids[right] = base + (self.centroids[left] - base) * fraction
        self.sizes[right] += self.sizes[left]
        self.alive[left] = False


def _linkage_rows(merges: list[Merge], scale: float) -> Tensor:
    """Orders the merges by height and numbers the clusters as SciPy does."""
    count = len(merges) + 1
    parent = list(range(2 * count - 1))
    size = [1] * (2 * count - 1)

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    rows: list[list[float]] = []
    for t, (a, b, cost) in enumerate(sorted(merges, key=lambda merge: merge[2])):
        left, right = sorted((root(a), root(b)))
        parent[left] = parent[right] = count + t
        size[count + t] = size[left] + size[right]
        rows.append([left, right, math.sqrt(2 * cost) * scale, size[count + t]])
    return torch.tensor(rows, dtype=torch.float64).view(-1, 4)


def _ward_cut_torch(
    linkage: Tensor, starts: Tensor, sizes: Tensor, num_clusters: list[int]
) -> Tensor:
    check_matrix(linkage, "linkage", (None, 4), torch.float64)
    rows = linkage.shape[0] + starts.numel()
    check_clouds(linkage.new_empty((rows, 0)), starts, sizes)
    require(bool((sizes > 0).all()), "a cloud is empty")
    labels = starts.new_full((len(num_clusters), rows), -1)
    for cloud, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        merges = linkage[start - cloud : start - cloud + size - 1]
        _check_merges(merges, size)
        for level, clusters in enumerate(num_clusters):
            fits = 1 <= clusters <= size
            require(fits, f"num_clusters={clusters} is not between 1 and the {size} points")
            labels[level, start : start + size] = _cut(merges, size, clusters)
    return labels


def _check_merges(merges: Tensor, size: int) -> None:
    """Raises unless every row merges two clusters that are there by then."""
    clusters = merges[:, :2].flatten()
    born = torch.arange(size, 2 * size - 1, device=merges.device).repeat_interleave(2)
    there = (clusters >= 0) & (clusters < born) & (clusters == clusters.floor())
    ordered = clusters.sort().values
    once = not bool((ordered[1:] == ordered[:-1]).any())
    require(once and bool(there.all()), "a row of a linkage merges a cluster that is not there")


def _cut(merges: Tensor, size: int, clusters: int) -> Tensor:
    """Labels the points of one cloud after its first ``size - clusters`` merges."""
    parent = torch.arange(2 * size - 1, device=merges.device)
    kept = merges[: size - clusters, :2].long()
    parent[kept] = torch.arange(size, 2 * size - clusters, device=merges.device)[:, None]
    while not torch.equal(parent[parent], parent):
        parent = parent[parent]
    _, group = torch.unique(parent[:size], return_inverse=True)
    point = torch.arange(size, device=merges.device)
    first = point.new_full((clusters,), size).scatter_reduce_(0, group, point, "amin")
    return first.argsort().argsort()[group]


def _ward_linkage_fake(points: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    return points.new_empty((points.shape[0] - starts.shape[0], 4), dtype=torch.float64)


def _ward_cut_fake(
    linkage: Tensor, starts: Tensor, sizes: Tensor, num_clusters: list[int]
) -> Tensor:
    return starts.new_empty((len(num_clusters), linkage.shape[0] + starts.shape[0]))


declare(
    "ward_linkage(Tensor points, Tensor starts, Tensor sizes) -> Tensor",
    _ward_linkage_torch,
    _ward_linkage_fake,
    on_cpu=True,
)
declare(
    "ward_cut(Tensor linkage, Tensor starts, Tensor sizes, int[] num_clusters) -> Tensor",
    _ward_cut_torch,
    _ward_cut_fake,
    on_cpu=True,
)
