"""Pseudo-labels: features → whitening → length one → k-means → a class for every item."""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator

from pcclust.cluster._inputs import Data, as_points, equal_rows
from pcclust.cluster.contingency import Labels
from pcclust.cluster.metrics import normalized_mutual_information, size_perplexity

if TYPE_CHECKING:
    from pcclust.cluster.whitening import PCAWhitening

# Below this evenness of the cluster sizes the labels hardly tell items apart (our choice): for
# many clusters, fewer than 3 of 10 would do if they were equally large.
COLLAPSED = 0.3


class ClusterCollapseWarning(UserWarning):
    """Most items are in few of the clusters, or many clusters are empty."""


@dataclass(frozen=True)
class PseudoLabels:
    """A class for every item, and how sound the classes are.

    Attributes:
        labels: ``(N,)`` int64 clusters, a tensor or an array as the features were.
        sizes: ``(k,)`` int64, items of each cluster.
        perplexity: of the sizes, exp(entropy): as even as so many equal clusters.
        nmi: normalised mutual information (arithmetic) with the labels of the round before, or
            None without one; near 1 when the clusters have settled.
        inertia: the weighted sum of squared distances of k-means.
    """

    labels: Any
    sizes: NDArray[np.int64]
    perplexity: float
    nmi: float | None
    inertia: float

    @property
    def evenness(self) -> float:
        """(perplexity - 1) / (k - 1): 1 for equal sizes, 0 for all items in one cluster."""
        return (self.perplexity - 1) / (len(self.sizes) - 1)

    @property
    def collapsed(self) -> bool:
        """Whether the evenness is below 0.3."""
        return self.evenness < COLLAPSED


def pseudo_labels(
    features: Data,
    n_clusters: int = 300,
    *,
    whiten: "PCAWhitening | None" = None,
    l2: bool = False,
    previous: Labels | None = None,
    random_state: int | Generator | np.random.RandomState | np.random.Generator | None = None,
) -> PseudoLabels:
    """Clusters features by k-means++ and k-means, and says how sound the clusters are.

    ContrastNet (Zhang and Zhu, 3DV 2019) neither whitens nor normalises and has 300 clusters in
    its second stage; DeepCluster (Caron et al., ECCV 2018) whitens to 256 components and brings
    rows to length one: ``whiten=PCAWhitening(256, eps=0), l2=True``.

    Args:
        features: ``(N, D)``, a tensor or an array.
        n_clusters: k, at least 2 and at most N.
        whiten: fitted on the features and applied to them, if given.
        l2: whether rows are then brought to length one.
        previous: ``(N,)`` the labels of the round before, for `PseudoLabels.nmi`.
        random_state: as for `KMeans`.

    Returns:
        The labels, their sizes, and measures of them.

    Raises:
        TypeError: wrong types or dtypes.
        ValueError: wrong shapes, NaN or inf, fewer items than clusters, equal features, or
            previous labels of another length.

    Warns:
        ClusterCollapseWarning: the clusters are so uneven that few of them hold most items.

    Example:
        >>> import torch
        >>> from pcclust.cluster import PCAWhitening, pseudo_labels
        >>> X = torch.randn(400, 8, generator=torch.Generator().manual_seed(0))
        >>> found = pseudo_labels(X, 10, whiten=PCAWhitening(4), l2=True, random_state=0)
        >>> found.labels.shape, found.sizes.sum(), found.collapsed
        (torch.Size([400]), np.int64(400), False)
    """
    from pcclust.cluster.kmeans import KMeans
    from pcclust.cluster.whitening import unit_length

    points = as_points(features, "features")
    _check(points, n_clusters, previous)
    prepared: Data = whiten.fit_transform(points) if whiten is not None else points
    prepared = unit_length(prepared) if l2 else prepared
    model = KMeans(n_clusters, random_state=random_state).fit(prepared)
    labels = model.labels_.cpu().numpy()
    found = PseudoLabels(
        model.labels_ if isinstance(features, torch.Tensor) else labels,
        np.bincount(labels, minlength=n_clusters),
        size_perplexity(labels),
        None if previous is None else normalized_mutual_information(previous, labels),
        model.inertia_,
    )
    _warn_of_collapse(found)
    return found


def _check(points: torch.Tensor, n_clusters: int, previous: Labels | None) -> None:
    if n_clusters < 2:
        raise ValueError(f"n_clusters={n_clusters} must be at least 2: one label teaches nothing")
    if n_clusters > len(points):
        raise ValueError(
            f"n_clusters={n_clusters} exceeds the {len(points)} items: ask for fewer clusters or "
            "give more items"
        )
    check_not_all_equal(points)
    if previous is not None and len(previous) != len(points):
        raise ValueError(
            f"{len(previous)} previous labels for {len(points)} items: they are not of the same "
            "items, and NMI compares item by item"
        )


def check_not_all_equal(features: torch.Tensor) -> None:
    """Raises ValueError if rows differ by rounding at most: then there is nothing to cluster."""
    if equal_rows(features):
        raise ValueError(
            f"the features of all {len(features)} items are equal: the encoder has collapsed, or "
            "all items are the same"
        )


def _warn_of_collapse(found: PseudoLabels) -> None:
    if not found.collapsed:
        return
    clusters, items = len(found.sizes), int(found.sizes.sum())
    warnings.warn(
        f"the {clusters} clusters have collapsed: they are as uneven as {found.perplexity:.1f} of "
        f"equal size would be, {int((found.sizes == 0).sum())} are empty and the largest holds "
        f"{found.sizes.max():,} of {items:,} items. Whiten the features, ask for fewer clusters, "
        "or look at whether the encoder gives most items the same features",
        ClusterCollapseWarning,
        stacklevel=3,
    )
