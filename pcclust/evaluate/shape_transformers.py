"""Features of shapes as transformers of scikit-learn, for its pipelines and searches."""

import os
from typing import Any

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor
from typing_extensions import Self  # torch needs it, so it is there

from pcclust.data.dataset import PointDataset
from pcclust.data.precision import in_float32
from pcclust.data.transforms import UnitSphere
from pcclust.evaluate.embedding import embed, encoder_of
from pcclust.evaluate.forward import Layout, Model, Precision
from pcclust.nn.rri_statistics import CHANNELS, rri_statistics
from pcclust.nn.weights_source import DEFAULT
from pcclust.ops._arrays import to_tensor

Shapes = Any  # a PointDataset, a tensor, a NumPy array, or anything numpy.asarray understands


class ShapeTransformer(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """What shapes ``(N, P, 3)`` go into and one vector for each comes out of."""

    def fit_transform(self, X: Shapes, y: object = None) -> Any:  # noqa: ANN401
        """Fits, and describes the same shapes; see `fit` and `transform`."""
        return self.fit(X).transform(X)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.input_tags.three_d_array = False, True
        return tags


class ShapeStatistics(ShapeTransformer):
    """Describes shapes without any training, by 300 statistics of RRI; see `rri_statistics`.

    There is nothing to fit. As a layer of a network it is `pcclust.nn.RRIStatistics`.

    Example:
        >>> import numpy as np
        >>> from pcclust import KMeans, ShapeStatistics
        >>> from sklearn.pipeline import make_pipeline
        >>> from sklearn.preprocessing import StandardScaler
        >>> shapes = np.random.default_rng(0).normal(size=(20, 64, 3))
        >>> shapes[:10, :, 2] = 0  # half of them are flat
        >>> found = make_pipeline(ShapeStatistics(), StandardScaler(), KMeans(2, random_state=0))
        >>> labels = found.fit_predict(shapes)
        >>> sorted([labels[:10].tolist(), labels[10:].tolist()])
        [[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]]
    """

    _n_features_out = CHANNELS

    def fit(self, X: Shapes, y: object = None) -> Self:
        """Checks the shapes.

        Args:
            X: ``(N, P, 3)`` shapes of at least 4 points, or a `PointDataset`.
            y: ignored, there by convention.

        Raises:
            TypeError: wrong types or dtypes.
            ValueError: wrong shape, NaN or inf.
        """
        _points(X)
        return self

    def transform(self, X: Shapes) -> Any:  # noqa: ANN401
        """Returns ``(N, 300)`` features: a tensor for tensors and datasets, otherwise an array.

        Args:
            X: as for `fit`.

        Raises:
            TypeError: as `fit`.
            ValueError: as `fit`.
        """
        return _like(X, rri_statistics(_points(X)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        return tags


class ShapeEmbedding(ShapeTransformer):
    """Describes shapes by a trained model; see `pcclust.embed`.

    Args:
        weights: what `pcclust.load` takes (a name, a run, a file, ``hf://…``), or a model itself;
            by default the encoder that `pcclust cluster` takes.
        unit_sphere: whether each shape is centred and brought to radius 1 before, as encoders that
            come with pcclust expect.
        batch_size: as for `pcclust.embed`.
        device: as for `pcclust.embed`.
        precision: as for `pcclust.embed`.
        layout: as for `pcclust.embed`.

    Attributes:
        encoder_: the model that is asked.
        n_features_out_: the numbers of one vector.

    Example:
        >>> import torch
        >>> from pcclust import KMeans, ShapeEmbedding
        >>> from pcclust.nn import RRIStatistics
        >>> from sklearn.pipeline import make_pipeline
        >>> found = make_pipeline(ShapeEmbedding(RRIStatistics()), KMeans(3, random_state=0))
        >>> found.fit_predict(torch.rand(10, 64, 3)).shape
        torch.Size([10])
    """

    encoder_: Model
    n_features_out_: int

    def __init__(
        self,
        weights: Model | str | os.PathLike[str] = DEFAULT,
        *,
        unit_sphere: bool = True,
        batch_size: int = 32,
        device: torch.device | str | None = None,
        precision: Precision = "float32",
        layout: Layout = "auto",
    ) -> None:
        self.weights = weights
        self.unit_sphere = unit_sphere
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.layout = layout

    def fit(self, X: Shapes, y: object = None) -> Self:
        """Loads the model, and asks it about one shape; it learns nothing from them.

        Args:
            X: ``(N, P, 3)`` shapes, or a `PointDataset`.
            y: ignored, there by convention.

        Raises:
            FileNotFoundError: no such weights.
            TypeError: wrong types or dtypes.
            ValueError: wrong shape, NaN or inf, or a model that does not describe shapes.
        """
        points = _points(X)
        self.encoder_ = encoder_of(self.weights)
        self.n_features_out_ = self._describe(points[:1]).shape[1]
        return self

    def transform(self, X: Shapes) -> Any:  # noqa: ANN401
        """Returns ``(N, C)`` float32: a tensor for tensors and datasets, otherwise an array.

        Args:
            X: as for `fit`.

        Raises:
            sklearn.exceptions.NotFittedError: `fit` has not been called.
            TypeError: as `fit`.
            ValueError: as `fit`.
        """
        check_is_fitted(self)
        return _like(X, self._describe(_points(X)))

    def _describe(self, points: Tensor) -> Tensor:
        shapes = in_float32(points)  # before they are centred, as those far away lose detail
        return embed(
            self.encoder_,
            UnitSphere()(shapes) if self.unit_sphere else shapes,
            batch_size=self.batch_size,
            device=self.device,
            precision=self.precision,
            layout=self.layout,
        )

    @property
    def _n_features_out(self) -> int:
        return self.n_features_out_


def _points(X: Shapes) -> Tensor:
    """Returns shapes as ``(N, P, 3)`` floating points."""
    if isinstance(X, PointDataset):
        return X.points
    points = X if isinstance(X, Tensor) else to_tensor(_array(X))
    if points.dim() != 3 or points.shape[2] != 3:
        raise ValueError(
            f"X must be (N, P, 3), shapes of equally many points, got {tuple(points.shape)}"
        )
    if points.is_complex():
        raise ValueError(f"Complex data not supported: X is {points.dtype}")
    if not points.is_floating_point():
        points = points.to(torch.float64 if not isinstance(X, Tensor) else torch.float32)
    if not len(points):
        raise ValueError(
            f"X has 0 sample(s) (shape={tuple(points.shape)}), but at least 1 is needed"
        )
    wrong = (~points.isfinite().all(dim=2)).nonzero()
    if len(wrong):
        shape, point = wrong[0].tolist()
        raise ValueError(f"X[{shape}, {point}] holds NaN or inf: {points[shape, point].tolist()}")
    return points


def _array(X: Shapes) -> np.ndarray[Any, Any]:
    try:
        array = np.asarray(X)
    except ValueError as error:
        raise ValueError(
            "X must be (N, P, 3), shapes of equally many points; choose as many of each, for "
            "instance by pcclust.farthest_point_sample"
        ) from error
    return array.astype(np.float64) if array.dtype == object else array


def _like(X: Shapes, features: Tensor) -> Any:  # noqa: ANN401
    """Returns a tensor where a tensor or a dataset was given, and an array otherwise."""
    return features if isinstance(X, Tensor | PointDataset) else features.cpu().numpy()
