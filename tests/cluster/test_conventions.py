"""The estimators among scikit-learn's: its own checks, names, containers, searches."""

import pickle
import re
import subprocess
import sys

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator as Base
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import pcclust
from pcclust import KMeans
from pcclust.cluster import KernelMap, PCAWhitening, SelfTuningSpectral, SpectralMap


@pytest.fixture
def groups():
    """Sixty samples of three kinds."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[:20] += 9
    X[20:40] -= 9
    return X


def expected_failures(estimator):
    if not isinstance(estimator, KMeans):
        return {}
    reason = "k-means++ draws by position: repeated samples in another order are another draw"
    return {"check_sample_weight_equivalence_on_dense_data": reason}


@parametrize_with_checks(
    [
        KMeans(3, random_state=0),
        KMeans(3, init="random", random_state=0),
        PCAWhitening(),
        PCAWhitening(2),
        KernelMap(random_state=0),
        SelfTuningSpectral(3, random_state=0),
        SpectralMap(2),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_no_public_estimator_goes_unchecked():
    """Those of shapes are checked in tests/evaluate/test_shape_transformers.py."""
    places = (pcclust, pcclust.cluster, pcclust.evaluate)
    public = {getattr(place, name) for place in places for name in place.__all__}
    estimators = {of.__name__ for of in public if isinstance(of, type) and issubclass(of, Base)}
    here = {"KMeans", "PCAWhitening", "KernelMap", "SelfTuningSpectral", "SpectralMap"}
    assert estimators == here | {"ShapeStatistics", "ShapeEmbedding"}


def test_a_check_is_excused_because_its_draws_differ_not_because_weights_are_ignored(groups):
    """From the same centers, a sample of weight 2 is two samples."""
    weights = np.random.default_rng(1).integers(1, 4, 60)
    weighted = KMeans(3, init=groups[[0, 20, 40]]).fit(groups, sample_weight=weights)
    repeated = KMeans(3, init=groups[[0, 20, 40]]).fit(np.repeat(groups, weights, axis=0))
    np.testing.assert_allclose(weighted.cluster_centers_, repeated.cluster_centers_)
    assert weighted.inertia_ == pytest.approx(repeated.inertia_)


def test_outputs_have_names(groups):
    assert KMeans(3).fit(groups).get_feature_names_out().tolist() == [f"kmeans{i}" for i in "012"]
    whitening = PCAWhitening(2).fit(torch.tensor(groups))
    assert whitening.get_feature_names_out().tolist() == ["pcawhitening0", "pcawhitening1"]
    chained = make_pipeline(StandardScaler(), PCAWhitening(2), KMeans(4)).fit(groups)
    assert chained.get_feature_names_out().tolist() == [f"kmeans{i}" for i in "0123"]


def test_data_frames_come_in_with_their_names_and_go_out(groups):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(groups, columns=["u", "v", "w"], index=range(100, 160))
    for model in (KMeans(3, random_state=0), PCAWhitening(2), KernelMap(5, random_state=0)):
        model.set_output(transform="pandas").fit(frame)
        assert model.feature_names_in_.tolist() == ["u", "v", "w"]
        table = model.transform(frame)
        assert table.columns.tolist() == model.get_feature_names_out().tolist()
        assert table.index.tolist() == frame.index.tolist()
        plain = clone(model).set_output(transform="default").fit(groups).transform(groups)
        np.testing.assert_allclose(table.to_numpy(), plain)
        with pytest.raises(ValueError, match="feature names should match"):
            model.transform(frame.rename(columns={"u": "x"}))


def test_tensors_stay_tensors_where_no_container_is_asked_for(groups):
    X = torch.tensor(groups, dtype=torch.float32)
    for model in (KMeans(3), PCAWhitening(2)):
        assert isinstance(model.fit_transform(X), torch.Tensor)
        assert isinstance(model.transform(X), torch.Tensor)
        assert not hasattr(model, "feature_names_in_")


def test_searches_copies_and_files(groups, tmp_path):
    search = GridSearchCV(KMeans(random_state=0), {"n_clusters": [2, 3]}, cv=2).fit(groups)
    assert search.best_params_ == {"n_clusters": 3}
    model = search.best_estimator_
    joblib.dump(model, tmp_path / "model")
    for twin in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model")):
        np.testing.assert_array_equal(twin.predict(groups), model.predict(groups))
    assert joblib.hash(clone(model)) == joblib.hash(clone(clone(model)))


@pytest.mark.parametrize(("init", "starts"), [("k-means++", 1), ("random", 10), ("given", 1)])
def test_starts_by_default_are_those_of_scikit_learn(groups, init, starts):
    given = groups[:5] if init == "given" else init
    automatic = KMeans(5, init=given, random_state=4).fit(groups)
    counted = KMeans(5, init=given, n_init=starts, random_state=4).fit(groups)
    np.testing.assert_array_equal(automatic.labels_, counted.labels_)
    with pytest.raises(TypeError, match="n_init must be an int, got 'many'"):
        KMeans(5, n_init="many").fit(groups)


def test_a_function_chooses_the_centers(groups):
    calls = []

    def init(X, n_clusters, random_state):
        calls.append(random_state.randint(1 << 30))
        assert isinstance(X, np.ndarray)
        np.testing.assert_array_equal(X, groups)
        return X[[0, 20, 40]]

    model = KMeans(3, init=init, random_state=0).fit(groups)
    assert len(set(calls)) == len(calls) == 10
    np.testing.assert_array_equal(model.labels_, np.repeat([0, 1, 2], 20))
    before = list(calls)
    model.fit(groups)
    assert calls[10:] == before  # its randomness follows from ours
    KMeans(3, init=lambda X, k, random_state: X[:k], n_init=1).partial_fit(torch.tensor(groups))
    with pytest.raises(ValueError, match=r"init must be \(3, 3\).*got \(2, 3\)"):
        KMeans(3, init=lambda X, k, random_state: X[:2]).fit(groups)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e-25, 1e20, 1e37, 1e150])
@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_data_of_any_size_have_the_clusters_of_the_same_data_near_one(groups, dtype, size, metric):
    if dtype == "f4" and not 1e-38 < size < 1e38:
        return  # beyond float32
    X = groups / 16
    exponent = round(np.log2(size))
    far = np.ldexp(X.astype(dtype), exponent)
    near = KMeans(3, metric=metric, random_state=0).fit(X.astype(dtype))
    model = KMeans(3, metric=metric, random_state=0).fit(far)
    np.testing.assert_array_equal(model.labels_, near.labels_)
    np.testing.assert_array_equal(model.predict(far), near.labels_)
    unit = exponent if metric == "euclidean" else 0
    np.testing.assert_allclose(
        np.ldexp(model.cluster_centers_.astype("f8"), -unit), near.cluster_centers_, rtol=1e-6
    )
    np.testing.assert_allclose(
        np.ldexp(model.transform(far).astype("f8"), -unit),
        near.transform(X.astype(dtype)),
        rtol=1e-5,
        atol=1e-6,
    )
    assert model.inertia_ == pytest.approx(np.ldexp(near.inertia_, 2 * unit), rel=1e-6)
    assert model.score(far) == pytest.approx(-model.inertia_, rel=1e-6)
    stream = KMeans(3, metric=metric, random_state=0).partial_fit(far).partial_fit(far)
    beside = KMeans(3, metric=metric, random_state=0)
    beside.partial_fit(X.astype(dtype)).partial_fit(X.astype(dtype))
    np.testing.assert_array_equal(stream.labels_, beside.labels_)


def test_variances_that_vanish_are_refused(groups):
    for tiny in (groups.astype("f4") * np.float32(1e-25), groups * 1e-200):
        with pytest.raises(ValueError, match=r"X varies by no more than .* vanish in torch.float"):
            PCAWhitening().fit(tiny)


@pytest.mark.parametrize("size", [2.0**-700, 2.0**400])
def test_the_silhouette_has_no_unit(groups, size):
    clusters = np.repeat([0, 1, 2], 20)
    expected = pcclust.cluster.silhouette(groups, clusters)
    assert pcclust.cluster.silhouette(groups * size, clusters) == pytest.approx(expected)


def test_scikit_learn_is_imported_by_those_alone_who_need_it():
    code = (
        "import sys, pcclust.cluster, pcclust.nn\n"
        "assert 'sklearn' not in sys.modules\n"
        "from pcclust.cluster import KMeans, pseudo_labels, silhouette\n"
        "assert callable(silhouette) and callable(pseudo_labels)\n"
        "assert 'sklearn' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match=re.escape("has no attribute 'Kmeans'")):
        _ = pcclust.cluster.Kmeans
