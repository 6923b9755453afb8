"""Coordinates along the thin places of a nearest-neighbour graph, which other samples get, too."""

from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import eigsh
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from pcclust.cluster._estimator import FeatureMap, like
from pcclust.cluster._inputs import Data
from pcclust.cluster._magnitude import exponent_of, times_two_to
from pcclust.ops import knn

DENSE = 600  # samples up to which all eigenvectors are computed, which is exact and as fast
_TINY = torch.finfo(torch.float64).tiny


class SpectralMap(FeatureMap):
    """Maps samples to the leading eigenvectors of the graph of their nearest neighbours.

    Neighbours have the weight ``exp(-d² / (s_i s_j))``, with s the distance of a sample to its last
    neighbour, so that dense and sparse clusters count alike. The embedding has the rows of the
    leading eigenvectors of the normalised graph, brought to length one. Any sample gets the values
    that its own neighbours imply (Nyström), and so does a fitted one in `transform`, with itself
    among its neighbours: there its row is near that of the embedding, and not the same.

    What is learned from a few labels in these coordinates follows the shapes without one, of which
    the graph is made: samples of a dense region are near each other here, however far apart they
    are. Neighbours are exact, so N samples take N² distances.

    Args:
        n_components: columns, less than the number of samples.
        n_neighbors: of each sample; 7 is the choice of Zelnik-Manor and Perona for the scale.

    Attributes:
        embedding_: ``(N, n_components)`` rows of length one.
        eigenvalues_: ``(n_components,)`` of the normalised graph, the largest, 1, first.
        n_components_: as given.
        n_features_in_: D.

    Source: Ng, Jordan and Weiss, "On Spectral Clustering: Analysis and an Algorithm" (2001);
    Zelnik-Manor and Perona, "Self-Tuning Spectral Clustering" (2004); Bengio et al., "Out-of-Sample
    Extensions for LLE, Isomap, MDS, Eigenmaps, and Spectral Clustering" (2003).

    Example:
        >>> import torch
        >>> angle = torch.arange(60) * 0.21
        >>> ring = torch.stack([angle.cos(), angle.sin()], dim=1)
        >>> model = SpectralMap(2).fit(torch.cat([ring, 3 * ring]))
        >>> inner, outer = model.transform(torch.tensor([[0.6, -0.8], [2.3, 1.8]]))
        >>> model.embedding_.shape, round(float((inner * outer).sum().abs()), 3)
        (torch.Size([120, 2]), 0.0)
    """

    embedding_: Any
    eigenvalues_: Any
    _samples: Tensor
    _exponent: int
    _scales: Tensor
    _roots: Tensor
    _vectors: Tensor

    def __init__(self, n_components: int = 40, *, n_neighbors: int = 7) -> None:
        self.n_components = n_components
        self.n_neighbors = n_neighbors

    def fit(self, X: Data, y: object = None) -> Self:
        """Finds the eigenvectors.

        Args:
            X: ``(N, D)`` samples.
            y: ignored, there by convention.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: wrong shape, NaN or inf, or not fewer components than samples.
        """
        points = self._points(X, fits=True)
        self._check_parameters(len(points))
        self._exponent = exponent_of(points)
        self._samples = times_two_to(points, -self._exponent)
        near = knn(self._samples, min(self.n_neighbors, len(points) - 1), exclude_self=True)
        distances = near.distances.double()
        self._scales = distances[:, -1].sqrt()
        weights = _weights(distances, self._scales, self._scales[near.indices])
        degrees, values, vectors = _leading(near.indices, weights, self.n_components)
        self._roots = degrees.sqrt()
        self._vectors = vectors / values.clamp_min(torch.finfo(values.dtype).eps)
        self.n_components_ = self.n_components
        self.eigenvalues_ = like(X, values)
        self.embedding_ = like(X, F.normalize(vectors, dim=1).to(points.dtype))
        return self

    def transform(self, X: Data) -> Any:  # noqa: ANN401
        """Returns the rows ``(N, n_components)`` that neighbours among the fitted samples imply.

        Args:
            X: ``(N, D)`` samples.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: not fitted, or X is wrong.
        """
        self._check_fitted("embedding_")
        points = self._points(X, fits=False)
        queries = times_two_to(points.to(self._samples), -self._exponent)
        count = min(self.n_neighbors, len(self._samples) - 1)
        near = knn(self._samples, count, queries=queries)
        distances = near.distances.double()
        scales = distances[:, -1].sqrt()
        weights = _weights(distances, scales, self._scales[near.indices])
        weights = weights / weights.sum(dim=1, keepdim=True).clamp_min(_TINY).sqrt()
        pulled = weights / self._roots[near.indices]
        rows = (pulled[:, :, None] * self._vectors[near.indices]).sum(dim=1)
        return like(X, F.normalize(rows).to(points.dtype))

    def _check_parameters(self, count: int) -> None:
        for name in ("n_components", "n_neighbors"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, Integral):
                raise TypeError(f"{name} must be an int, got {value!r}")
            if value < 1:
                raise ValueError(f"{name}={value} must be at least 1")
        if self.n_components >= count:
            raise ValueError(
                f"n_components={self.n_components} must be below n_samples={count}: a graph of "
                f"{count} samples has no more cuts"
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
