"""Features of shapes in scikit-learn: its own checks, pipelines, searches, containers."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.utils.validation import validate_data

import pcclust
from pcclust import ShapeEmbedding, ShapeStatistics
from pcclust.data import PointDataset
from pcclust.data.transforms import UnitSphere
from pcclust.nn import PointNet, RRIStatistics
from pcclust.nn.rri_statistics import rri_statistics
from pcclust.nn.weights import save_weights

FRAME = np.array([[0, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 3], [2, 1, 1]])


def shapes_of(rows):
    """Makes of each row ``(D,)`` a cloud of D + 5 points, to check by matrices."""
    angles = np.arange(rows.shape[1])
    axes = np.stack([np.cos(angles), np.sin(angles), np.ones_like(angles)], axis=1)
    points = rows[:, :, None] * axes
    frame = np.broadcast_to(FRAME, (len(rows), *FRAME.shape))
    return np.concatenate([points, frame], axis=1).astype(rows.dtype)


class FromRows:
    """Lets a transformer of shapes take matrices; all else stays its own."""

    def fit(self, X, y=None):
        return super().fit(shapes_of(validate_data(self, X, dtype=[np.float64, np.float32])))

    def fit_transform(self, X, y=None):
        return self.fit(X).transform(X)

    def transform(self, X):
        self._check_fitted_first()
        rows = validate_data(self, X, dtype=[np.float64, np.float32], reset=False)
        return super().transform(shapes_of(rows))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array, tags.requires_fit = True, True
        tags.transformer_tags.preserves_dtype = []
        return tags

    def _check_fitted_first(self):
        if not hasattr(self, "n_features_in_"):
            raise NotFittedError("call fit first")


class RowStatistics(FromRows, ShapeStatistics):
    pass


def mean_and_spread(clouds):
    return torch.cat([clouds.mean(dim=1), clouds.std(dim=1), clouds.abs().amax(dim=1)], dim=1)


class RowEmbedding(FromRows, ShapeEmbedding):
    def __init__(self, weights=mean_and_spread, *, unit_sphere=False, batch_size=32):
        super().__init__(weights, unit_sphere=unit_sphere, batch_size=batch_size, layout="BN3")


# Of an estimator of 3-D arrays scikit-learn checks nothing, so rows of matrices stand for shapes.
@parametrize_with_checks([RowStatistics(), RowEmbedding()])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def shapes():
    """Forty clouds, of which every other one is flat, and which those are."""
    clouds = np.random.default_rng(0).normal(size=(40, 40, 3))
    flat = np.arange(40) % 2
    clouds[flat == 1, :, 2] *= 0.2
    return clouds, flat


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder of weights."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_weights(folder, PointNet(), {"model": "pointnet", "model_kwargs": {}, "class_names": []})
    return folder


def test_statistics_are_those_of_the_function(shapes):
    clouds, _ = shapes
    found = ShapeStatistics().fit_transform(clouds)
    assert isinstance(found, np.ndarray)
    np.testing.assert_array_equal(found, rri_statistics(clouds))
    tensors = ShapeStatistics().transform(torch.tensor(clouds))  # nothing to fit
    assert torch.equal(tensors, torch.tensor(found))
    as_dataset = ShapeStatistics().transform(PointDataset(torch.tensor(clouds)))
    torch.testing.assert_close(as_dataset, torch.tensor(found).float(), atol=2e-2, rtol=0)


def test_embedding_is_that_of_the_function(shapes, weights):
    clouds, _ = shapes
    found = ShapeEmbedding(weights).fit(clouds[:2]).transform(clouds)
    scaled = UnitSphere()(torch.tensor(clouds).float())
    np.testing.assert_array_equal(found, pcclust.embed(weights, scaled).numpy())
    raw = ShapeEmbedding(str(weights), unit_sphere=False).fit_transform(clouds)
    np.testing.assert_array_equal(raw, pcclust.embed(weights, clouds))
    # 1,000 km away, float32 has no digit left for a millimetre.
    moved = ShapeEmbedding(weights).fit_transform(clouds * 1e-2 + 1e6)
    np.testing.assert_allclose(moved, found, atol=1e-4)


def test_searches_choose_among_weights_and_cross_validate(shapes, weights):
    clouds, flat = shapes
    turned = clouds[:, :, [1, 2, 0]]
    chain = make_pipeline(
        ShapeEmbedding(weights), StandardScaler(), LogisticRegression(max_iter=200)
    )
    search = GridSearchCV(
        chain, {"shapeembedding__weights": [weights, RRIStatistics()]}, cv=3, error_score="raise"
    ).fit(clouds, flat)
    assert isinstance(search.best_params_["shapeembedding__weights"], RRIStatistics)
    assert search.score(turned, flat) == 1
    assert search.best_estimator_[:-1].get_feature_names_out()[-1] == "shapeembedding299"


def test_clones_and_pickles_describe_alike(shapes, weights):
    clouds, _ = shapes
    model = ShapeEmbedding(weights, batch_size=7).fit(clouds)
    assert clone(model).get_params() == model.get_params()
    with pytest.raises(NotFittedError):
        clone(model).transform(clouds)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.transform(clouds), model.transform(clouds))


def test_data_frames_go_out(shapes):
    pandas = pytest.importorskip("pandas")
    table = ShapeStatistics().set_output(transform="pandas").fit_transform(shapes[0])
    assert isinstance(table, pandas.DataFrame)
    assert table.columns[0] == "shapestatistics0"


@pytest.mark.parametrize("model", [ShapeStatistics(), ShapeEmbedding(RRIStatistics())])
@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((5, 3)), r"X must be \(N, P, 3\), .*got \(5, 3\)"),
        (np.zeros((5, 9, 2)), r"X must be \(N, P, 3\)"),
        (np.zeros((0, 9, 3)), r"X has 0 sample\(s\)"),
        ([np.zeros((5, 3)), np.zeros((6, 3))], "choose as many of each"),
        (np.full((2, 9, 3), np.nan), r"X\[0, 0\] holds NaN"),
        (np.zeros((2, 9, 3), complex), "Complex data"),
        ([[["a", "b", "c"]]], "numbers"),
    ],
)
def test_wrong_shapes(model, X, message):
    with pytest.raises((ValueError, TypeError), match=message):
        clone(model).fit(X)
