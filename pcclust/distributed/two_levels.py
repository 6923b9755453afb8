"""So many clusters that each row cannot be compared with all: clusters of clusters.

With K centers of D numbers an iteration costs N·K·D products and a message of K·D integers. From
100,000 clusters on rows are first brought to √K coarse clusters, by all processes together, and
then each of these is clustered on its own, in memory, by the one process that gathers its rows.
That costs 2·N·√K·D, and no message; a row is compared with the centers of its coarse cluster alone.
"""

import io
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pcclust._files import write_whole
from pcclust.cluster._magnitude import squared_back, times_two_to
from pcclust.cluster.plain_kmeans import plain_kmeans
from pcclust.distributed.exact import bins_of, total_of
from pcclust.distributed.kmeans import Found, Settings, State, kmeans
from pcclust.distributed.share import Share
from pcclust.ops.kmeans_assign import kmeans_assign

MANY = 100_000


def two_levels(
    share: Share,
    settings: Settings,
    folder: Path,
    state: State | None,
    keep: Callable[[State], None],
) -> Found:
    """Finds clusters in two levels; afterwards ``share.labels`` are those of its rows.

    Args:
        share: the rows of this process; all call this alike.
        settings: how many clusters, and so on.
        folder: for the centers of coarse clusters that are done; all processes see it.
        state: of the first level, of a job that goes on.
        keep: is told the state of the first level whenever it changes.
    """
    coarse = replace(settings, clusters=math.isqrt(settings.clusters - 1) + 1)
    first = kmeans(share, coarse, state, keep)
    centers = times_two_to(first.centers, -share.exponent)
    counts = apportioned(first.sizes.tolist(), settings.clusters)
    mine = own_clusters(first.sizes.tolist(), share.group.count)[share.group.index]
    parts = {cluster: (counts[cluster], int(first.sizes[cluster])) for cluster in mine}
    share.group.together(lambda: _cluster_each(share, settings, centers, parts, folder))
    fine = [_known(folder, cluster) for cluster in range(len(counts))]
    sizes, inertia = _assign(share, fine)
    found = times_two_to(torch.cat(fine).to(share.group.device), share.exponent)
    return Found(found, sizes, squared_back(inertia, share.exponent), first.iterations)


def apportioned(sizes: list[int], clusters: int) -> list[int]:
    """Returns how many clusters each coarse one becomes: by its size, one at least, rows at most.

    Example:
        >>> from pcclust.distributed.two_levels import apportioned
        >>> apportioned([60, 30, 10, 0], 10)
        [6, 3, 1, 0]
    """
    total = sum(sizes)
    counts = [min(size, max(1, size * clusters // total)) for size in sizes]
    # Whoever is furthest below its part gets the next, or gives one back; the first of equal ones.
    while (lacking := clusters - sum(counts)) != 0:
        step = 1 if lacking > 0 else -1
        may = [c for c, n in enumerate(counts) if (n < sizes[c] if step > 0 else n > 1)]
        chosen = max(may, key=lambda c: step * (sizes[c] * clusters / total - counts[c]))
        counts[chosen] += step
    return counts


def own_clusters(sizes: list[int], processes: int) -> list[range]:
    """Returns the coarse clusters of each process: consecutive ones, with about as many rows."""
    ends = np.cumsum([0, *sizes])
    cuts = np.searchsorted(ends, [ends[-1] * i / processes for i in range(1, processes)])
    bounds = [0, *cuts.tolist(), len(sizes)]
    return [range(bounds[i], bounds[i + 1]) for i in range(processes)]


def _cluster_each(
    share: Share,
    settings: Settings,
    centers: Tensor,
    parts: dict[int, tuple[int, int]],
    folder: Path,
) -> None:
    """Clusters the rows of each coarse cluster of this process that is not done yet.

    Args:
        share: reads all rows once for as many coarse clusters as fit memory.
        settings: how.
        centers: of all coarse clusters.
        parts: of those of this process, how many clusters each becomes, and its rows.
        folder: where the centers go.
    """
    waiting = [cluster for cluster in parts if not _path(folder, cluster).exists()]
    while waiting:
        some = [waiting.pop(0)]
        while waiting and sum(parts[c][1] for c in [*some, waiting[0]]) <= share.rows_that_fit:
            some.append(waiting.pop(0))
        for cluster, members in _gathered(share, centers, some).items():
            fine = _clustered(members, parts[cluster][0], settings)
            buffer = io.BytesIO()
            np.save(buffer, fine.cpu().numpy())
            write_whole(_path(folder, cluster), buffer.getvalue())


def _gathered(share: Share, centers: Tensor, clusters: list[int]) -> dict[int, Tensor]:
    """Returns the rows of some coarse clusters, of all processes, in order."""
    wanted = torch.tensor(clusters, device=centers.device)
    parts: dict[int, list[Tensor]] = {cluster: [] for cluster in clusters}
    for block in share.all_blocks():
        labels, _ = kmeans_assign(block, centers, share.shift)
        for cluster in sorted(set(labels[torch.isin(labels, wanted)].tolist())):
            parts[cluster].append(block[labels == cluster])
    empty = centers[:0]
    return {cluster: torch.cat([empty, *found]) for cluster, found in parts.items()}


def _clustered(rows: Tensor, clusters: int, settings: Settings) -> Tensor:
    if not clusters:
        return rows[:0]
    return plain_kmeans(rows, clusters, settings.seed, max_iter=settings.max_iter, tol=settings.tol)


def _assign(share: Share, fine: list[Tensor]) -> tuple[Tensor, float]:
    """Labels the rows by the centers of their coarse clusters; returns sizes and inertia."""
    firsts = np.cumsum([0, *map(len, fine)]).tolist()
    for place, block in share.blocks():
        coarse = share.labels[place].long()
        for cluster in sorted(set(coarse.tolist())):
            at = (coarse == cluster).nonzero().flatten()
            centers = fine[cluster].to(block.device)
            labels, distances = kmeans_assign(block[at], centers, share.shift)
            share.labels[place.start + at] = (labels + firsts[cluster]).to(torch.int32)
            share.distances[place.start + at] = distances
    sizes = share.group.sum(torch.bincount(share.labels, minlength=firsts[-1]))
    return sizes, total_of(share.group.sum(bins_of(share.distances)))


def _path(folder: Path, cluster: int) -> Path:
    return folder / f"centers-{cluster:06d}.npy"


def _known(folder: Path, cluster: int) -> Tensor:
    return torch.from_numpy(np.load(_path(folder, cluster)))
