"""Mini-batch k-means: centers that follow a stream of samples."""

import torch
from torch import Tensor

from pcclust.cluster.lloyd import Problem, as_centers, split_for_empty, spreads_of_clusters
from pcclust.ops.kmeans_assign import kmeans_assign
from pcclust.ops.kmeans_update import kmeans_update


def take_in_batch(
    batch: Problem, centers: Tensor, masses: Tensor | None
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Makes every center the mean of its samples so far and of those of a batch.

    Args:
        batch: the samples.
        centers: ``(k, D)`` before.
        masses: ``(k,)`` the summed weight that each center stands for; None for nothing yet.

    Returns:
        New centers and masses, and the batch's labels and squared distances to the centers before.
    """
    labels, distances = kmeans_assign(batch.points, centers, batch.shift)
    sums, added = kmeans_update(batch.points, batch.weights, labels, centers.shape[0])
    before = torch.zeros_like(added) if masses is None else masses.to(added)
    after = before + added
    fraction = added / after.clamp(min=torch.finfo(after.dtype).tiny)
    means = sums / added.clamp(min=torch.finfo(added.dtype).tiny)[:, None]
    mixed = centers + fraction[:, None] * (means - centers)
    if bool((after <= 0).any()):
        spreads = spreads_of_clusters(batch, centers, means, added, labels, distances)
        mixed = split_for_empty(batch, mixed, after, spreads, labels, distances)
    unmoved = (mixed == centers).all(dim=1, keepdim=True)
    moved = torch.where(unmoved, centers, as_centers(batch, mixed, centers))
    return moved, after, labels, distances
