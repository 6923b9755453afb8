"""Spectral clustering of a nearest-neighbour graph whose scale is local, with a rule for others."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import eigsh
from sklearn.base import ClusterMixin
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from pcclust.cluster._estimator import BareEstimator, like
from pcclust.cluster._inputs import Data, as_generator
from pcclust.cluster._magnitude import exponent_of, times_two_to
from pcclust.cluster.kmeans import KMeans
from pcclust.ops import knn

DENSE = 600  # samples up to which all eigenvectors are computed, which is exact and as fast
_TINY = torch.finfo(torch.float64).tiny
STARTS = 10  # of k-means; its samples have as many dimensions as there are clusters


class SelfTuningSpectral(ClusterMixin, BareEstimator):  # type: ignore[misc]
    """Cuts the graph of nearest neighbours where it is thin, and says where other samples belong.

    Neighbours have the weight ``exp(-d² / (s_i s_j))``, with s the distance of a sample to its last
    neighbour, so that dense and sparse clusters count alike. Rows of the leading eigenvectors of
    the normalised graph are brought to length one and clustered by k-means. Another sample gets the
    eigenvectors' values that its own neighbours imply (Nyström), and the nearest centre.

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
    Zelnik-Manor and Perona, "Self-Tuning Spectral Clustering" (2004); Bengio et al., "Out-of-Sample
    Extensions for LLE, Isomap, MDS, Eigenmaps, and Spectral Clustering" (2003).

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
    _samples: Tensor
    _exponent: int
    _scales: Tensor
    _roots: Tensor
    _vectors: Tensor

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
        self._check_parameters(len(points))
        self._exponent = exponent_of(points)
        self._samples = times_two_to(points, -self._exponent)
        near = knn(self._samples, min(self.n_neighbors, len(points) - 1), exclude_self=True)
        distances = near.distances.double()
        self._scales = distances[:, -1].sqrt()
        weights = _weights(distances, self._scales, self._scales[near.indices])
        degrees, values, vectors = _leading(near.indices, weights, self.n_clusters)
        self._roots = degrees.sqrt()
        self._vectors = vectors / values.clamp_min(torch.finfo(values.dtype).eps)
        embedding = F.normalize(vectors, dim=1)
        generator = as_generator(self.random_state)
        kmeans = KMeans(self.n_clusters, n_init=STARTS, random_state=generator).fit(embedding)
        self.eigenvalues_ = like(X, values)
        self.embedding_ = like(X, embedding.to(points.dtype))
        self.cluster_centers_ = like(X, kmeans.cluster_centers_.to(points.dtype))
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
        points = self._points(X, fits=False)
        queries = times_two_to(points.to(self._samples), -self._exponent)
        count = min(self.n_neighbors, len(self._samples) - 1)
        near = knn(self._samples, count, queries=queries)
        distances = near.distances.double()
        scales = distances[:, -1].sqrt()
        weights = _weights(distances, scales, self._scales[near.indices])
        weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(_TINY).sqrt()
        pulled = weights / self._roots[near.indices]
        embedding = F.normalize((pulled[:, :, None] * self._vectors[near.indices]).sum(dim=1))
        centers = torch.as_tensor(self.cluster_centers_).to(embedding)
        return like(X, torch.cdist(embedding, centers).argmin(dim=1))

    def _check_parameters(self, count: int) -> None:
        for name in ("n_clusters", "n_neighbors"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if self.n_clusters >= count:
            raise ValueError(
                f"n_clusters={self.n_clusters} must be below n_samples={count}: a graph of {count} "
                "samples has no more cuts"
            )


def _weights(distances: Tensor, scales: Tensor, others: Tensor) -> Tensor:
    """Returns ``(N, k)`` weights of neighbours; 1 of duplicates, whatever the scale.

    Args:
        distances: ``(N, k)`` squared.
        scales: ``(N,)``.
        others: ``(N, k)`` scales of the neighbours.
    """
    return (-distances / (scales[:, None] * others).clamp_min(_TINY)).exp()


def _leading(indices: Tensor, weights: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns degrees ``(N,)``, the largest eigenvalues ``(K,)`` and their vectors ``(N, K)``."""
    size, width = indices.shape
    rows = np.repeat(np.arange(size), width)
    given = (weights.cpu().numpy().ravel(), (rows, indices.cpu().numpy().ravel()))
    graph = csr_array(given, shape=(size, size))
    graph = graph.maximum(graph.T)
    degrees = np.maximum(graph.sum(axis=1), float(_TINY))
    root = diags_array(1 / np.sqrt(degrees))
    normalised = root @ graph @ root
    if size <= DENSE:
        values, vectors = np.linalg.eigh(normalised.toarray())
    else:
        start = np.random.default_rng(0).normal(size=size)  # that no eigenvector is missed
        values, vectors = eigsh(normalised, k=count, which="LA", v0=start)
    order = np.argsort(-values, kind="stable")[:count]
    found = [degrees, values[order], vectors[:, order]]
    degree, value, vector = (torch.from_numpy(each).to(weights) for each in found)
    return degree, value, vector
