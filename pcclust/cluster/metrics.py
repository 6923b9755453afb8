"""How well clusters agree with known classes, and how even they are."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pcclust.cluster.contingency import (
    ClusterMap,
    Labels,
    as_labels,
    as_pair,
    contingency_table,
    fit_cluster_map,
)

Average = Literal["arithmetic", "geometric"]


def clustering_accuracy(
    labels: Labels, clusters: Labels, mapping: ClusterMap | None = None
) -> float:
    """Returns the fraction of items whose cluster stands for their class (ACC).

    Args:
        labels: as for `fit_cluster_map`.
        clusters: as for `fit_cluster_map`.
        mapping: what clusters stand for; if None the best one-to-one map for these very items.

    Raises:
        TypeError: as for `fit_cluster_map`.
        ValueError: as for `fit_cluster_map`.

    Example:
        >>> clustering_accuracy([4, 4, 4, 7, 7], [0, 0, 1, 1, 1])
        0.8
    """
    mapping = fit_cluster_map(labels, clusters) if mapping is None else mapping
    return float(_right(labels, clusters, mapping).mean())


def class_mean_accuracy(
    labels: Labels, clusters: Labels, mapping: ClusterMap | None = None
) -> float:
    """Returns the mean over the classes of the fraction of their items that are right.

    Args:
        labels: as for `clustering_accuracy`.
        clusters: as for `clustering_accuracy`.
        mapping: as for `clustering_accuracy`; the map that makes most items right, not the one
            that makes this mean largest.

    Raises:
        TypeError: as for `fit_cluster_map`.
        ValueError: as for `fit_cluster_map`.

    Example:
        >>> round(class_mean_accuracy([4, 4, 4, 7, 7], [0, 0, 1, 1, 1]), 3)
        0.833
    """
    mapping = fit_cluster_map(labels, clusters) if mapping is None else mapping
    right, true = _right(labels, clusters, mapping), as_labels(labels, "labels")
    return float(np.mean([right[true == label].mean() for label in np.unique(true)]))


def purity(labels: Labels, clusters: Labels) -> float:
    """Returns the fraction of items that are of the most frequent class of their cluster.

    It is 1 where every item is a cluster, so compare it at the same number of clusters only.

    Args:
        labels: as for `fit_cluster_map`.
        clusters: as for `fit_cluster_map`.

    Raises:
        TypeError: as for `fit_cluster_map`.
        ValueError: as for `fit_cluster_map`.

    Example:
        >>> purity([4, 4, 4, 7, 7], [0, 0, 1, 1, 1])
        0.8
    """
    table, _, _ = contingency_table(labels, clusters)
    return float(table.max(axis=0).sum() / table.sum())


def normalized_mutual_information(
    labels: Labels, clusters: Labels, average: Average = "arithmetic"
) -> float:
    """Returns the mutual information of classes and clusters over the mean of their entropies.

    Args:
        labels: as for `fit_cluster_map`; clusters of another run serve as well.
        clusters: as for `fit_cluster_map`.
        average: which mean; "arithmetic" is the default of scikit-learn since 0.22, "geometric"
            was that before and stands in some papers. They may differ by more than a point.

    Returns:
        A number from 0 to 1: 1 where one class is one cluster, 0 where only one of both is in
        one piece.

    Raises:
        TypeError: as for `fit_cluster_map`.
        ValueError: as for `fit_cluster_map`, or an unknown average.

    Strehl and Ghosh, "Cluster ensembles" (JMLR 2002), equation 3, for the geometric mean.

    Example:
        >>> round(normalized_mutual_information([4, 4, 4, 7, 7], [0, 0, 1, 1, 1]), 4)
        0.4325
    """
    if average not in ("arithmetic", "geometric"):
        raise ValueError(f"average={average!r} is neither 'arithmetic' nor 'geometric'")
    from sklearn.metrics import normalized_mutual_info_score

    true, given = as_pair(labels, clusters)
    with _without_remarks():
        return float(normalized_mutual_info_score(true, given, average_method=average))


def adjusted_rand_index(labels: Labels, clusters: Labels) -> float:
    """Returns the fraction of pairs that classes and clusters treat alike, less chance: ARI.

    Args:
        labels: as for `fit_cluster_map`.
        clusters: as for `fit_cluster_map`.

    Returns:
        1 for the same partition, about 0 for a random one, and less for a worse one.

    Raises:
        TypeError: as for `fit_cluster_map`.
        ValueError: as for `fit_cluster_map`.

    Hubert and Arabie, "Comparing partitions" (1985), equation 5.

    Example:
        >>> round(adjusted_rand_index([4, 4, 4, 7, 7], [0, 0, 1, 1, 1]), 4)
        0.1667
    """
    from sklearn.metrics import adjusted_rand_score

    true, given = as_pair(labels, clusters)
    with _without_remarks():
        return float(adjusted_rand_score(true, given))


def size_perplexity(clusters: Labels) -> float:
    """Returns exp(entropy of the clusters' shares): how many clusters of equal size are as even.

    Args:
        clusters: ``(N,)`` integers, not negative.

    Raises:
        TypeError: no integers.
        ValueError: not ``(N,)``, no items, or negative.

    Example:
        >>> round(size_perplexity([0, 0, 1, 1, 5, 5]), 6), size_perplexity([3, 3])
        (3.0, 1.0)
    """
    return math.exp(_entropy(np.bincount(as_labels(clusters, "clusters"))))


def _right(labels: Labels, clusters: Labels, mapping: ClusterMap) -> NDArray[np.bool_]:
    true, given = as_labels(labels, "labels"), mapping.apply(clusters)
    if len(true) != len(given):
        raise ValueError(f"{len(true)} labels, but {len(given)} clusters: one of each an item")
    return np.equal(true, given)


def _entropy(counts: NDArray[np.int64]) -> float:
    """Returns the entropy of fractions in nats."""
    fractions = counts[counts > 0] / counts.sum()
    return float(-(fractions * np.log(fractions)).sum())


@contextmanager
def _without_remarks() -> Iterator[None]:
    """Silences scikit-learn's guess that many clusters of few items are no classes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes is greater than 50%")
        yield
