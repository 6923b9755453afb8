"""KMeans as an estimator: scikit-learn's conventions, kinds of data, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
import torch
from sklearn.base import clone, is_clusterer
from sklearn.pipeline import make_pipeline

import pcclust
from pcclust import KMeans


@pytest.fixture
def points():
    return torch.randn((60, 4), generator=torch.Generator().manual_seed(0))


def test_scikit_learn_tools_work_with_it(points):
    model = clone(KMeans(3, tol=0.5, random_state=7))
    assert model.get_params() == KMeans(3, tol=0.5, random_state=7).get_params()
    assert is_clusterer(model)
    chained = make_pipeline(model).fit(points.numpy())
    assert chained.predict(points.numpy()).shape == (60,)


def test_the_constructor_only_stores():
    marker = object()
    model = KMeans(n_clusters=marker, init=marker, tol=marker)
    assert model.n_clusters is marker
    assert model.init is marker
    assert vars(model) == model.get_params()
    assert model.set_params(n_clusters=3) is model
    assert model.n_clusters == 3
    with pytest.raises(ValueError, match=r"(?s)Invalid parameter 'clusters' .*'init', 'max_iter'"):
        model.set_params(clusters=3)


def test_its_form_shows_what_was_changed():
    assert repr(KMeans(5, tol=0.0)) == "KMeans(n_clusters=5, tol=0.0)"
    assert repr(KMeans()) == "KMeans()"


def test_the_kind_of_data_is_kept(points):
    model = KMeans(3, random_state=0).fit(points)
    array = KMeans(3, random_state=0).fit(points.numpy())
    for name in ("labels_", "cluster_centers_"):
        assert isinstance(getattr(model, name), torch.Tensor)
        assert isinstance(getattr(array, name), np.ndarray)
        np.testing.assert_array_equal(getattr(model, name).numpy(), getattr(array, name))
    assert isinstance(model.predict(points.numpy()), np.ndarray)
    assert isinstance(array.predict(points), torch.Tensor)
    assert isinstance(array.transform(points), torch.Tensor)
    assert model.inertia_ == array.inertia_
    assert isinstance(model.inertia_, float)


def test_results_agree_with_each_other(points):
    model = KMeans(4, random_state=0)
    labels = model.fit_predict(points)
    assert labels.dtype == torch.int64
    assert torch.equal(labels, model.predict(points))
    distances = model.transform(points)
    assert torch.equal(distances.argmin(dim=1), labels)
    assert float(distances.min(dim=1).values.square().sum()) == pytest.approx(model.inertia_)
    assert model.score(points) == pytest.approx(-model.inertia_)
    weights = torch.arange(60.0)
    weighted = model.score(points, sample_weight=weights)
    assert weighted == pytest.approx(-float((distances.min(dim=1).values ** 2 * weights).sum()))
    torch.testing.assert_close(KMeans(4, random_state=0).fit_transform(points), distances)


@pytest.mark.parametrize("kind", ["strided", "transposed", "negative", "read-only", "big-endian"])
def test_unusual_memory(points, kind):
    array = points.numpy()
    data = {
        "strided": np.repeat(array, 2, axis=0)[::2],
        "transposed": np.asfortranarray(array),
        "negative": array[::-1].copy()[::-1],
        "read-only": array.copy(),
        "big-endian": array.astype(">f4"),
    }[kind]
    if kind == "read-only":
        data.flags.writeable = False
    expected = KMeans(3, random_state=0).fit(array)
    before = data.copy()
    np.testing.assert_array_equal(KMeans(3, random_state=0).fit(data).labels_, expected.labels_)
    np.testing.assert_array_equal(data, before)


def test_integers_and_lists_and_gradients(points):
    whole = (points * 10).round()
    expected = KMeans(3, random_state=0).fit(whole.double().numpy()).labels_
    np.testing.assert_array_equal(
        KMeans(3, random_state=0).fit(whole.int().numpy()).labels_, expected
    )
    np.testing.assert_array_equal(KMeans(3, random_state=0).fit(whole.tolist()).labels_, expected)
    assert KMeans(3, random_state=0).fit(whole.int()).cluster_centers_.dtype == torch.float32
    model = KMeans(3, random_state=0).fit(points.clone().requires_grad_())
    assert not model.cluster_centers_.requires_grad


def test_sources_of_randomness(points):
    def centers(state):
        return KMeans(8, random_state=state).fit(points).cluster_centers_

    assert torch.equal(centers(5), centers(np.int64(5)))
    assert torch.equal(centers(5), centers(torch.Generator().manual_seed(5)))
    assert torch.equal(centers(np.random.RandomState(1)), centers(np.random.RandomState(1)))
    assert torch.equal(centers(np.random.default_rng(1)), centers(np.random.default_rng(1)))
    torch.manual_seed(1)
    first = centers(None)
    second = centers(None)
    torch.manual_seed(1)
    assert torch.equal(centers(None), first)
    assert not torch.equal(first, second)
    generator = torch.Generator().manual_seed(5)
    centers(generator)
    assert not torch.equal(centers(generator), centers(5))  # a generator moves on
    with pytest.raises(TypeError, match=r"random_state must be None.+got str"):
        centers("5")


def test_a_fitted_model_can_be_copied_and_pickled(points):
    model = KMeans(3, random_state=0).fit(points)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin.predict(points), model.predict(points))


BAD_DATA = [
    (torch.tensor([[0.0, 1.0], [float("nan"), 2.0]]), ValueError, r"X\[1\] holds NaN or inf"),
    (np.array([[0.0], [np.inf], [1.0]]), ValueError, r"X\[1\] holds NaN or inf: inf in column 0"),
    (torch.zeros(3), ValueError, r"X must be \(N, D\), got \(3,\)"),
    (torch.zeros((2, 3, 4)), ValueError, r"X must be \(N, D\), got \(2, 3, 4\)"),
    (torch.zeros((0, 3)), ValueError, r"X has 0 sample\(s\) \(shape=\(0, 3\)\)"),
    (torch.zeros((3, 0)), ValueError, r"X has 0 feature\(s\) \(shape=\(3, 0\)\)"),
    (torch.zeros((3, 2), dtype=torch.complex64), ValueError, "Complex data not supported"),
    (torch.eye(3).to_sparse(), TypeError, "X is sparse"),
    (np.array([["a", "b"], ["c", "d"]]), ValueError, "X must hold numbers"),
    (
        torch.full((3, 2), 1e38),
        ValueError,
        r"X reaches 1e\+38; beyond .* distances overflow in torch.float32.*use float64",
    ),
    (torch.zeros((2, 3)), ValueError, "n_clusters=3 exceeds n_samples=2"),
]


@pytest.mark.parametrize(("data", "error", "message"), BAD_DATA)
def test_bad_data_is_refused(data, error, message):
    with pytest.raises(error, match=message):
        KMeans(3).fit(data)
    with pytest.raises(error, match=message):
        KMeans(3).partial_fit(data)


BAD_PARAMETERS = [
    ({"n_clusters": 0}, ValueError, "n_clusters=0 must be at least 1"),
    ({"n_clusters": 2.0}, TypeError, "n_clusters must be an int, got 2.0"),
    ({"n_clusters": True}, TypeError, "n_clusters must be an int, got True"),
    ({"n_init": 0}, ValueError, "n_init=0 must be at least 1"),
    ({"max_iter": -1}, ValueError, "max_iter=-1 must be at least 1"),
    ({"tol": -0.1}, ValueError, "tol=-0.1 must be finite and at least 0"),
    ({"tol": float("nan")}, ValueError, "tol=nan must be finite"),
    ({"metric": "manhattan"}, ValueError, "metric='manhattan' is neither"),
    ({"init": "best"}, ValueError, "init='best' is neither 'k-means"),
    ({"init": torch.zeros((3, 4))}, ValueError, r"init must be \(8, 4\).*got \(3, 4\)"),
    ({"init": torch.full((8, 4), float("nan"))}, ValueError, r"init\[0\] holds NaN"),
]


@pytest.mark.parametrize(("parameters", "error", "message"), BAD_PARAMETERS)
def test_bad_parameters_are_refused(points, parameters, error, message):
    with pytest.raises(error, match=message):
        KMeans(**parameters).fit(points)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(3), r"sample_weight must be \(60,\), one for each sample, got \(3,\)"),
        (-torch.ones(60), r"sample_weight\[0\]=-1 is negative or not finite"),
        (torch.full((60,), float("nan")), r"sample_weight\[0\]=nan"),
        (torch.zeros(60), "sample_weight is zero for all 60 samples"),
    ],
)
def test_bad_weights_are_refused(points, weights, message):
    with pytest.raises(ValueError, match=message):
        KMeans(3).fit(points, sample_weight=weights)


def test_a_zero_sample_has_no_direction(points):
    points[17] = 0
    with pytest.raises(ValueError, match=r"X\[17\] is zero, which has no direction"):
        KMeans(3, metric="cosine").fit(points)
    model = KMeans(3, metric="cosine", random_state=0).fit(points[:17])
    with pytest.raises(ValueError, match=r"X\[17\] is zero"):
        model.predict(points)


def test_results_before_fit_and_other_features_are_refused(points):
    for call in (KMeans(3).predict, KMeans(3).transform, KMeans(3).score):
        with pytest.raises(ValueError, match="this KMeans is not fitted yet: call fit first"):
            call(points)
    model = KMeans(3, random_state=0).partial_fit(points)
    message = "X has 2 features, but KMeans is expecting 4 features as input"
    for call in (model.predict, model.partial_fit):
        with pytest.raises(ValueError, match=message):
            call(points[:, :2])


def test_it_is_part_of_the_package():
    assert pcclust.KMeans is pcclust.cluster.KMeans
