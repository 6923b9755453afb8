"""Clustering methods by name, each as features → clusters, and clusters of new features."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pcclust.cluster import KMeans
from pcclust.ops import ward_labels

Features = NDArray[np.floating]
OWN = "own"  # the clusters of the model that made the features
NEIGHBORS = 10  # of the graph of spectral clustering, scikit-learn's default


class Clustering(NamedTuple):
    """What a method found.

    Attributes:
        clusters: ``(N,)`` int64.
        predict: gives the clusters of other features ``(M, D)``; None where the method clusters
            nothing but what it was given.
    """

    clusters: NDArray[np.int64]
    predict: Callable[[Features], NDArray[np.int64]] | None = None


class Method(NamedTuple):
    """One way to cluster.

    Attributes:
        title: what tables call it.
        run: takes features ``(N, D)``, the number of clusters and a seed.
        seeded: whether the seed makes a difference.
    """

    title: str
    run: Callable[[Features, int, int], Clustering]
    seeded: bool


def _kmeans(features: Features, clusters: int, seed: int) -> Clustering:
    model = KMeans(clusters, random_state=seed).fit(features)
    return Clustering(model.labels_, model.predict)


def _ward(features: Features, clusters: int, seed: int) -> Clustering:
    found: NDArray[np.int64] = ward_labels(features, clusters)  # type: ignore[arg-type, assignment]
    return Clustering(found)


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
    return Clustering(model.fit_predict(features).astype(np.int64))


def _gaussian_mixture(features: Features, clusters: int, seed: int) -> Clustering:
    """A mixture with diagonal covariances, begun from k-means, in features of unit scale."""
    from sklearn.mixture import GaussianMixture

    scale = float(features.std())  # scikit-learn's regularisation has a fixed size
    model = GaussianMixture(clusters, covariance_type="diag", random_state=seed)
    model.fit(features / scale)
    return Clustering(model.predict(features / scale), lambda X: model.predict(X / scale))


def _own(features: Features, clusters: int, seed: int) -> Clustering:
    raise ValueError("own clusters are those of a run of pcclust pretrain: give its --weights")


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        "kmeans": Method("k-means", _kmeans, seeded=True),
        "ward": Method("Ward", _ward, seeded=False),
        "spectral": Method("spectral", _spectral, seeded=True),
        OWN: Method("of the run", _own, seeded=False),
        "gmm": Method("Gaussian mixture", _gaussian_mixture, seeded=True),
    }
)
