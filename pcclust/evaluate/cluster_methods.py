"""Clustering methods by name, each as features → clusters, and clusters of new features."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.ops import knn, ward_labels

Features = NDArray[np.floating]
OWN = "own"  # the clusters of the model that made the features
NEIGHBORS = 10  # of the graph of spectral clustering, scikit-learn's default
LEAST_DENSE = 5  # shapes of a cluster of HDBSCAN, its own default


class Clustering(NamedTuple):
    """What a method found.

    Attributes:
        clusters: ``(N,)`` int64.
        predict: gives the clusters of other features ``(M, D)``.
    """

    clusters: NDArray[np.int64]
    predict: Callable[[Features], NDArray[np.int64]]


class Method(NamedTuple):
    """One way to cluster.

    Attributes:
        title: what tables call it.
        run: takes features ``(N, D)``, the number of clusters and a seed.
        seeded: whether the seed makes a difference.
        by_nearest: whether other features get the cluster of the nearest of those it was given,
            since it has no rule of its own.
    """

    title: str
    run: Callable[[Features, int, int], Clustering]
    seeded: bool
    by_nearest: bool = False


def _nearest(features: Features, clusters: NDArray[np.int64]) -> Clustering:
    """Returns a clustering that gives other features the cluster of the nearest of these."""

    def predict(others: Features) -> NDArray[np.int64]:
        queries = torch.from_numpy(np.ascontiguousarray(others, features.dtype))
        found = knn(torch.from_numpy(features), 1, queries=queries).indices[:, 0]
        chosen: NDArray[np.int64] = clusters[found.numpy()]
        return chosen

    return Clustering(clusters, predict)


def _kmeans(features: Features, clusters: int, seed: int) -> Clustering:
    from pcclust.cluster import (
        KMeans,
    )  # scikit-learn takes a second and 110 MB: for those who need it

    model = KMeans(clusters, random_state=seed).fit(features)
    return Clustering(model.labels_, model.predict)


def _ward(features: Features, clusters: int, seed: int) -> Clustering:
    found: NDArray[np.int64] = ward_labels(features, clusters)  # type: ignore[arg-type, assignment]
    return _nearest(features, found)


def _spectral(features: Features, clusters: int, seed: int) -> Clustering:
    """Normalised cuts of the symmetric graph of the 10 nearest neighbours, then k-means."""
    from sklearn.cluster import SpectralClustering

    if clusters >= len(features):
        raise ValueError(
            f"spectral clustering needs fewer clusters than shapes: {clusters} of {len(features)}"
        )
    model = SpectralClustering(
        clusters,
        affinity="nearest_neighbors",
        n_neighbors=min(NEIGHBORS, len(features)),
        random_state=seed,
    )
    return _nearest(features, model.fit_predict(features).astype(np.int64))


def _self_tuning(features: Features, clusters: int, seed: int) -> Clustering:
    from pcclust.cluster import SelfTuningSpectral

    model = SelfTuningSpectral(clusters, random_state=seed).fit(features)
    return Clustering(model.labels_, model.predict)


def _gaussian_mixture(features: Features, clusters: int, seed: int) -> Clustering:
    """A mixture with diagonal covariances, begun from k-means, in features of unit scale."""
    from sklearn.mixture import GaussianMixture

    scale = float(features.std())  # scikit-learn's regularisation has a fixed size
    model = GaussianMixture(clusters, covariance_type="diag", random_state=seed)
    model.fit(features / scale)
    return Clustering(model.predict(features / scale), lambda X: model.predict(X / scale))


def _hdbscan(features: Features, clusters: int, seed: int) -> Clustering:
    """Clusters by density, as many as there are, of at least a quarter of the mean size asked for.

    A row that it calls noise joins the cluster of the nearest row that is none; all are one cluster
    where all are noise.
    """
    from sklearn.cluster import HDBSCAN

    least = min(max(LEAST_DENSE, len(features) // (4 * clusters)), len(features))
    model = HDBSCAN(min_cluster_size=least, min_samples=min(LEAST_DENSE, len(features)), copy=True)
    found = model.fit_predict(features).astype(np.int64)
    kept = found >= 0
    if not kept.any():
        return _nearest(features, np.zeros(len(features), np.int64))
    dense = _nearest(features[kept], found[kept])
    return _nearest(features, np.where(kept, found, dense.predict(features)))


def _own(features: Features, clusters: int, seed: int) -> Clustering:
    raise ValueError("own clusters are those of a run of pcclust pretrain: give its --weights")


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "kmeans": Method("k-means", _kmeans, seeded=True),
        "ward": Method("Ward", _ward, seeded=False, by_nearest=True),
        "spectral": Method("spectral", _spectral, seeded=True, by_nearest=True),
        "self-tuning": Method("self-tuning spectral", _self_tuning, seeded=True),
        OWN: Method("of the run", _own, seeded=False),
        "gmm": Method("Gaussian mixture", _gaussian_mixture, seeded=True),
        "hdbscan": Method("HDBSCAN", _hdbscan, seeded=False, by_nearest=True),
    }
)
