"""The clusters over which ClusterNet pools: one Ward tree, cut at several levels."""

from collections.abc import Sequence

from torch import Tensor

from pcclust.ops._clouds import flatten
from pcclust.ops.ward import ward_labels


def ward_hierarchy(
    points: Tensor, num_clusters: Sequence[int], lengths: Tensor | None = None
) -> Tensor:
    """Clusters each cloud by Ward's method at several levels, each nested in the one before.

    A cloud of fewer points than a level has clusters gets one cluster for each point there.

    Args:
        points: ``(B, N, 3)``.
        num_clusters: clusters of each level, finest first.
        lengths: ``(B,)`` the points of each cloud of a padded batch.

    Returns:
        ``(B, N, levels)`` int64, counted from 0 in each cloud and level; -1 on padding.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, NaN or inf, bad lengths, or numbers of clusters that increase.

    Example:
        >>> import torch
        >>> from pcclust.nn import ward_hierarchy
        >>> labels = ward_hierarchy(torch.rand(2, 100, 3), [32, 8])
        >>> labels.shape, labels.amax(dim=(0, 1)).tolist()
        (torch.Size([2, 100, 2]), [31, 7])
    """
    levels = check_levels(num_clusters)
    if isinstance(points, Tensor) and points.dim() != 3:
        raise ValueError(f"points must be (B, N, 3), got {tuple(points.shape)}")
    clouds = flatten(points, lengths)
    if lengths is None:
        levels = [min(level, points.shape[1]) for level in levels]
    if clouds.smallest is None or clouds.smallest >= levels[0]:
        return ward_labels(points, levels, lengths=lengths).transpose(1, 2)
    labels = clouds.sizes.new_full((*points.shape[:2], len(levels)), -1)
    for cloud, size in enumerate(clouds.sizes.tolist()):
        present = [min(level, size) for level in levels]
        labels[cloud, :size] = ward_labels(points[cloud, :size], present).t()
    return labels


def check_levels(num_clusters: Sequence[int]) -> list[int]:
    """Returns the numbers of clusters as a list.

    Raises:
        ValueError: there is none, one is below 1, or they increase.
    """
    levels = [int(level) for level in num_clusters]
    if not levels or min(levels) < 1 or levels != sorted(levels, reverse=True):
        raise ValueError(f"num_clusters={levels} must be positive and not increase, finest first")
    return levels
