"""Spectral clustering of a nearest-neighbour graph whose scale is local, with a rule for others."""

from numbers import Integral
from typing import Any

import torch
from sklearn.base import ClusterMixin
from typing_extensions import Self

from pcclust.cluster._estimator import BareEstimator, like
from pcclust.cluster._inputs import Data, as_generator
from pcclust.cluster.kmeans import KMeans
from pcclust.cluster.spectral_map import SpectralMap

STARTS = 10  # of k-means; its samples have as many dimensions as there are clusters


class SelfTuningSpectral(ClusterMixin, BareEstimator):  # type: ignore[misc]
    """Cuts the graph of nearest neighbours where it is thin, and says where other samples belong.

    Rows of the embedding of `SpectralMap` are clustered by k-means. Another sample gets the row
    that its own neighbours imply, and the nearest centre.

    On features in many dimensions, of clusters that are no balls, this finds more than k-means
    does on the features themselves. Neighbours are exact, so N samples take N² distances.

    Args:
        n_clusters: k, less than the number of samples.
        n_neighbors: of each sample; 7 is the choice of Zelnik-Manor and Perona for the scale.
        random_state: a seed, a generator of torch or NumPy, or None for torch's global generator;
            of k-means.

    Attributes:
        labels_: ``(N,)`` int64.
        embedding_: ``(N, k)`` rows of length one.
        cluster_centers_: ``(k, k)`` in the embedding.
        eigenvalues_: ``(k,)`` of the normalised graph, the largest, 1, first. One that is far below
            those before it says that there are fewer clusters.
        n_features_in_: D.

    Source: Ng, Jordan and Weiss, "On Spectral Clustering: Analysis and an Algorithm" (2001);
    Zelnik-Manor and Perona, "Self-Tuning Spectral Clustering" (2004).

    Example:
        >>> import torch
        >>> angle = torch.arange(60) * 0.21
        >>> ring = torch.stack([angle.cos(), angle.sin()], dim=1)
        >>> model = SelfTuningSpectral(2, random_state=0).fit(torch.cat([ring, 3 * ring]))
        >>> model.labels_.unique_consecutive().numel(), model.predict(2.9 * ring).unique().numel()
        (2, 1)
    """

    labels_: Any
    embedding_: Any
    cluster_centers_: Any
    eigenvalues_: Any
    _map: SpectralMap

    def __init__(
        self,
        n_clusters: int = 8,
        *,
        n_neighbors: int = 7,
        random_state: Any = None,  # noqa: ANN401
    ) -> None:
        self.n_clusters = n_clusters
        self.n_neighbors = n_neighbors
        self.random_state = random_state

    def fit(self, X: Data, y: None = None) -> Self:
        """Finds the clusters.

        Args:
            X: ``(N, D)`` samples.
            y: ignored, there by convention.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: wrong shape, NaN or inf, or not fewer clusters than samples.
        """
        points = self._points(X, fits=True)
        self._check_clusters(len(points))
        self._map = SpectralMap(self.n_clusters, n_neighbors=self.n_neighbors).fit(points)
        embedding = self._map.embedding_
        generator = as_generator(self.random_state)
        kmeans = KMeans(self.n_clusters, n_init=STARTS, random_state=generator).fit(embedding)
        self.eigenvalues_ = like(X, self._map.eigenvalues_)
        self.embedding_ = like(X, embedding)
        self.cluster_centers_ = like(X, kmeans.cluster_centers_)
        self.labels_ = like(X, kmeans.labels_)
        return self

    def predict(self, X: Data) -> Any:  # noqa: ANN401
        """Returns the cluster of each sample, ``(N,)`` int64, by its neighbours among the fitted.

        Args:
            X: ``(N, D)`` samples.

        Raises:
            ValueError: not fitted, or X is wrong.
        """
        self._check_fitted("labels_")
        rows = self._map.transform(self._points(X, fits=False))
        centers = torch.as_tensor(self.cluster_centers_).to(rows)
        return like(X, torch.cdist(rows, centers).argmin(dim=1))

    def _check_clusters(self, count: int) -> None:
        clusters: Any = self.n_clusters
        if isinstance(clusters, bool) or not isinstance(clusters, Integral):
            raise TypeError(f"n_clusters must be an int, got {clusters!r}")
        if not 1 <= int(clusters) < count:
            wanted = "at least 1" if int(clusters) < 1 else f"below n_samples={count}"
            raise ValueError(f"n_clusters={clusters} must be {wanted}")
