"""Known classes and clusters of the same items: counted against each other, and matched."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Labels: TypeAlias = Any  # (N,) integers in a tensor, an array or a sequence
NO_CLASS = -1


@dataclass(frozen=True)
class ClusterMap:
    """Which class each cluster stands for.

    Attributes:
        clusters: ``(M,)`` sorted ids of the clusters that stand for a class.
        classes: ``(M,)`` their classes, all different.
    """

    clusters: NDArray[np.int64]
    classes: NDArray[np.int64]

    def apply(self, clusters: Labels) -> NDArray[np.int64]:
        """Returns the class of each item by its cluster, -1 where that stands for none.

        Args:
            clusters: ``(N,)`` integers, not negative.

        Raises:
            TypeError: no integers.
            ValueError: not ``(N,)``, no items, or negative.
        """
        given = as_labels(clusters, "clusters")
        if not len(self.clusters):
            return np.full_like(given, NO_CLASS)
        at = np.searchsorted(self.clusters, given).clip(max=len(self.clusters) - 1)
        return np.where(self.clusters[at] == given, self.classes[at], NO_CLASS)


def fit_cluster_map(labels: Labels, clusters: Labels) -> ClusterMap:
    """Finds the one-to-one map of clusters to classes by which most items are right.

    The map is found on one set of items, say those for training, and may be applied to another.
    With more clusters than classes some stand for none; with fewer, some classes have none.

    Args:
        labels: ``(N,)`` true classes, integers, not negative.
        clusters: ``(N,)`` clusters, integers, not negative.

    Returns:
        The map; clusters without items are not in it.

    Raises:
        TypeError: no integers.
        ValueError: wrong or different lengths, no items, or a missing (negative) label.

    Kuhn's Hungarian method on the rectangular contingency table (1955).

    Example:
        >>> mapping = fit_cluster_map([4, 4, 4, 7, 7], [0, 0, 1, 1, 1])
        >>> mapping.apply([0, 1, 2]).tolist()
        [4, 7, -1]
    """
    from scipy.optimize import linear_sum_assignment  # half a second, for those who need it

    table, classes, found = contingency_table(labels, clusters)
    columns, rows = linear_sum_assignment(table.T, maximize=True)
    return ClusterMap(found[columns], classes[rows])


def contingency_table(
    labels: Labels, clusters: Labels
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Counts the items of each class in each cluster.

    Args:
        labels: as for `fit_cluster_map`.
        clusters: as for `fit_cluster_map`.

    Returns:
        Counts ``(classes, clusters)``, and the sorted classes and clusters that have items.

    Raises:
        TypeError: as for `fit_cluster_map`.
        ValueError: as for `fit_cluster_map`.

    Example:
        >>> contingency_table([4, 4, 4, 7, 7], [0, 0, 1, 1, 1])[0].tolist()
        [[2, 1], [0, 2]]
    """
    true, given = as_pair(labels, clusters)
    classes, row = np.unique(true, return_inverse=True)
    found, column = np.unique(given, return_inverse=True)
    counts = np.bincount(row * len(found) + column, minlength=len(classes) * len(found))
    return counts.reshape(len(classes), len(found)), classes, found


def as_labels(values: Labels, name: str) -> NDArray[np.int64]:
    """Checks classes or clusters and returns them as int64.

    Args:
        values: ``(N,)`` integers, not negative.
        name: what messages call them.

    Raises:
        TypeError: no integers.
        ValueError: not ``(N,)``, no items, or negative, which means that there is no label.
    """
    if values is None:
        raise ValueError(f"{name} are needed, got None: without them use `silhouette`")
    array = values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)
    if array.ndim != 1 or not len(array):
        raise ValueError(f"{name} must be (N,) with N >= 1, got {array.shape}")
    if array.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got {array.dtype}")
    missing = np.flatnonzero(array < 0)
    if len(missing):
        raise ValueError(
            f"{name}[{missing[0]}] is {array[missing[0]]}, which means none; {len(missing)} of "
            f"{len(array)} have none: leave these items out"
        )
    return array.astype(np.int64)


def as_pair(labels: Labels, clusters: Labels) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns labels and clusters, checked, one of each an item."""
    true, given = as_labels(labels, "labels"), as_labels(clusters, "clusters")
    if len(true) != len(given):
        raise ValueError(f"{len(true)} labels, but {len(given)} clusters: one of each an item")
    return true, given
