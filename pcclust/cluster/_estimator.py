"""What our estimators have in common beside scikit-learn's own base class."""

from typing import Any

import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import validate_data
from torch import Tensor
from typing_extensions import Self

from pcclust.cluster._inputs import Data, as_points


class BareEstimator(BaseEstimator):  # type: ignore[misc]
    """An estimator of scikit-learn that takes tensors as well as arrays.

    A subclass's constructor stores its arguments under their names and does nothing else.

    Attributes:
        n_features_in_: the features of the data it was fitted on.
        feature_names_in_: ``(D,)`` their names, where it was fitted on a data frame that has them.
    """

    n_features_in_: int
    feature_names_in_: Any

    def _points(self, X: Data, *, fits: bool, overflow: int = 2) -> Tensor:
        """Checks data, and that its features are those of the fit, and returns it as a matrix.

        Args:
            X: ``(N, D)``.
            fits: whether its features are those from now on.
            overflow: as for `as_points`.
        """
        points = as_points(X, overflow=overflow)
        validate_data(self, X if hasattr(X, "shape") else points, reset=fits, skip_check_array=True)
        return points

    def _check_fitted(self, attribute: str) -> None:
        if not hasattr(self, attribute):
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet: call fit first")


class Estimator(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BareEstimator):  # type: ignore[misc]
    """A transformer of scikit-learn that takes tensors as well as arrays."""


class FeatureMap(Estimator):
    """A transformer to ``n_components_`` other features, of the precision that it is given."""

    n_components_: int

    def fit(self, X: Data, y: object = None) -> Self:
        """Finds the features."""
        raise NotImplementedError

    def fit_transform(self, X: Data, y: object = None) -> Any:  # noqa: ANN401
        """Returns ``fit(X).transform(X)``."""
        return self.fit(X, y).transform(X)

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def _fitted(self, X: Data, *attributes: str) -> list[Tensor]:
        """Returns checked data, and what the fit has found, on its device and in its dtype."""
        self._check_fitted(attributes[0])
        points = self._points(X, fits=False)
        return [points, *(torch.as_tensor(getattr(self, name)).to(points) for name in attributes)]


def like(data: Data, result: Tensor) -> Any:  # noqa: ANN401
    """Returns a tensor where a tensor was given, and an array otherwise."""
    return result if isinstance(data, Tensor) else result.cpu().numpy()
