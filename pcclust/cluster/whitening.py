"""PCA whitening, and rows of length one: what makes features of all directions count alike."""

import warnings
from numbers import Integral
from typing import Any

import torch
from torch import Tensor
from typing_extensions import Self

from pcclust.cluster._estimator import FeatureMap, like
from pcclust.cluster._inputs import Data, as_points


class PCAWhitening(FeatureMap):
    """Turns features to their principal axes and divides each by its standard deviation.

    Takes tensors of any device or NumPy arrays and gives back the same kind and precision; fitting
    is done in float64. Data that span fewer dimensions than asked for have the components that
    they span, and a warning says how many.

    Args:
        n_components: how many components, those of the largest variance, at most the number of
            features; all that the data span if None.
        eps: added to each variance, as a fraction of the largest one, so that components which are
            hardly more than noise are not blown up (our choice; 0 whitens exactly).

    Attributes:
        mean_: ``(D,)``.
        components_: ``(C, D)`` orthonormal rows, largest variance first. The entry of largest
            magnitude of each is positive, so that the signs are the same in every run.
        explained_variance_: ``(C,)`` the variance along each, with N - 1 in the denominator.
        n_components_: C.
        n_features_in_: D.
        feature_names_in_: ``(D,)`` of a data frame whose columns have names.

    As the preprocessing of DeepCluster (Caron et al., ECCV 2018), which keeps 256 components and
    then brings the rows to length one, see `unit_length`.

    Example:
        >>> import torch
        >>> X = torch.randn(500, 3, generator=torch.Generator().manual_seed(0))
        >>> Z = PCAWhitening(2).fit_transform(X * torch.tensor([9.0, 3.0, 1.0]))
        >>> Z.shape, torch.allclose(torch.cov(Z.T), torch.eye(2), atol=1e-4)
        (torch.Size([500, 2]), True)
    """

    mean_: Any
    components_: Any
    explained_variance_: Any

    def __init__(self, n_components: int | None = None, *, eps: float = 1e-6) -> None:
        self.n_components = n_components
        self.eps = eps

    def fit(self, X: Data, y: object = None) -> Self:
        """Finds the components.

        Args:
            X: ``(N, D)`` features.
            y: ignored, there by convention.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: wrong shape, NaN or inf, one row, equal rows, rows so near each other that
                variances vanish, impossible parameters.
        """
        points = self._points(X, fits=True)
        self._check_parameters(points.shape[1])
        if len(points) == 1:
            raise ValueError("X has 1 sample, n_samples = 1, and one has no variance")
        mean = points.double().mean(dim=0)
        # The triangular factor has the singular values and axes of the data, and is far smaller.
        factor = torch.linalg.qr(points.double() - mean, mode="r").R
        _, spreads, axes = torch.linalg.svd(factor, full_matrices=False)
        kept = self._count(spreads, points)
        axes, variances = axes[:kept], spreads[:kept].square() / (len(points) - 1)
        _check_variances(variances.to(points.dtype), spreads)
        largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
        self.mean_ = like(X, mean.to(points.dtype))
        self.components_ = like(X, (axes * largest.sign()).to(points.dtype))
        self.explained_variance_ = like(X, variances.to(points.dtype))
        self.n_components_ = kept
        return self

    def transform(self, X: Data) -> Any:  # noqa: ANN401
        """Returns whitened features ``(N, C)``.

        Args:
            X: ``(N, D)`` features.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: not fitted, or X is wrong.
        """
        points, mean, axes, variances = self._fitted(
            X, "mean_", "components_", "explained_variance_"
        )
        deviations = (variances + self.eps * variances[0]).sqrt()
        return like(X, ((points - mean) @ axes.T) / deviations)

    def _check_parameters(self, features: int) -> None:
        count: Any = self.n_components  # whatever was given
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral)):
            raise TypeError(f"n_components must be an int or None, got {count!r}")
        if count is not None and not 1 <= int(count) <= features:
            raise ValueError(f"n_components={count} must be from 1 to the {features} features of X")
        if not 0 <= self.eps < float("inf"):
            raise ValueError(f"eps={self.eps!r} must be finite and at least 0")

    def _count(self, spreads: Tensor, points: Tensor) -> int:
        """Returns how many components to keep: none of those that rounding made."""
        size = float(points.double().norm())
        noise = 8 * max(points.shape) ** 0.5 * torch.finfo(points.dtype).eps * size
        rank = int((spreads > noise).sum())
        if not rank:
            raise ValueError(
                f"all {len(points)} rows of X are equal (to rounding): features that do not "
                "differ cannot be whitened"
            )
        if self.n_components is None:
            return rank
        if rank < self.n_components:
            warnings.warn(
                f"X spans {rank} dimensions, fewer than n_components={self.n_components}: there "
                f"are {rank} components",
                stacklevel=3,
            )
        return min(rank, self.n_components)


def unit_length(X: Data) -> Any:  # noqa: ANN401
    """Brings each row to length one; a row of zeros, which has no direction, stays as it is.

    Args:
        X: ``(N, D)`` features, a tensor or an array.

    Returns:
        The same kind, ``(N, D)``.

    Raises:
        TypeError: wrong types or dtypes.
        ValueError: wrong shape, NaN or inf.

    Example:
        >>> import numpy as np
        >>> unit_length(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6, 0.8], [0.0, 0.0]]
    """
    points = as_points(X, overflow=1)
    # Dividing by the largest entry first keeps the squares of tiny and of huge rows in range.
    largest = points.abs().amax(dim=1, keepdim=True)
    scaled = points / torch.where(largest > 0, largest, 1)
    lengths = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return like(X, scaled / torch.where(lengths > 0, lengths, 1))


def _check_variances(variances: Tensor, spreads: Tensor) -> None:
    """Raises ValueError where variances are too small for their dtype."""
    if float(variances.min()) < torch.finfo(variances.dtype).tiny:
        raise ValueError(
            f"X varies by no more than {float(spreads[0]):.0e}, and variances that small vanish in "
            f"{variances.dtype}: scale the data"
        )
