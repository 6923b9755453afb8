"""Pseudo-labels: what they are made of, and the warnings that they are worth little."""

import warnings

import numpy as np
import pytest
import torch

from pcclust.cluster import ClusterCollapseWarning, KMeans, PCAWhitening, unit_length
from pcclust.cluster.metrics import normalized_mutual_information
from pcclust.cluster.pseudo_labels import pseudo_labels


def blobs(count=300, groups=6, width=8, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, width)) + 30 * np.eye(width)[np.arange(count) % groups]


def test_separate_groups_are_found_and_counted():
    found = pseudo_labels(blobs(), 6, random_state=0)
    assert normalized_mutual_information(np.arange(300) % 6, found.labels) == pytest.approx(1)
    assert found.sizes.tolist() == [50] * 6
    assert found.perplexity == pytest.approx(6)
    assert found.evenness == pytest.approx(1)
    assert found.nmi is None
    assert not found.collapsed


@pytest.mark.parametrize("l2", [False, True])
@pytest.mark.parametrize("components", [None, 3])
def test_the_chain_is_whitening_then_length_then_kmeans(components, l2):
    X = blobs(200) * np.arange(1, 9)
    whiten = None if components is None else PCAWhitening(components)
    found = pseudo_labels(X, 9, whiten=whiten, l2=l2, random_state=3)
    Z = X if components is None else PCAWhitening(components).fit_transform(X)
    model = KMeans(9, random_state=3).fit(unit_length(Z) if l2 else Z)
    np.testing.assert_array_equal(found.labels, model.labels_)
    assert found.inertia == model.inertia_


def test_the_round_before_is_compared_whatever_its_numbers():
    before = pseudo_labels(blobs(), 6, random_state=0)
    renamed = 5 - before.labels
    assert pseudo_labels(blobs(), 6, previous=renamed, random_state=1).nmi == pytest.approx(1)
    other = pseudo_labels(blobs(), 3, previous=renamed, random_state=1)
    expected = normalized_mutual_information(renamed, other.labels)
    assert other.nmi == pytest.approx(expected)
    assert expected < 1


def test_the_same_seed_gives_the_same_labels_as_tensor_or_array():
    X = blobs(seed=5)
    first = pseudo_labels(torch.from_numpy(X), 20, l2=True, random_state=4)
    again = pseudo_labels(X, 20, l2=True, random_state=4)
    assert isinstance(first.labels, torch.Tensor)
    assert first.labels.dtype == torch.int64
    np.testing.assert_array_equal(first.labels.numpy(), again.labels)


def test_a_collapse_is_loud():
    X = np.zeros((1000, 2))
    X[:20] = np.random.default_rng(0).normal(size=(20, 2)) * 100
    with pytest.warns(ClusterCollapseWarning, match=r"10 clusters have collapsed.*largest holds"):
        found = pseudo_labels(X, 10, random_state=0)
    assert found.sizes.max() >= 980
    assert found.evenness < 0.05
    assert found.collapsed


def test_fewer_different_features_than_clusters_is_told():
    X = np.repeat(np.eye(4), 25, axis=0)
    with (
        pytest.warns(ClusterCollapseWarning, match="16 are empty"),
        pytest.warns(UserWarning, match="only 4 of the 20 clusters have samples"),
    ):
        found = pseudo_labels(X, 20, random_state=0)
    assert found.collapsed
    assert (found.sizes > 0).sum() == 4


def test_uneven_but_sound_clusters_are_quiet():
    sizes = [60, 30, 20, 10, 5]
    X = np.repeat(40 * np.eye(5), sizes, axis=0)
    X += np.random.default_rng(1).normal(size=X.shape)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = pseudo_labels(X, 5, random_state=0)
    assert sorted(found.sizes.tolist(), reverse=True) == sizes


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (np.eye(5), {"n_clusters": 6}, "n_clusters=6 exceeds the 5 items"),
        (np.eye(5), {"n_clusters": 1}, "n_clusters=1 must be at least 2"),
        (np.full((9, 4), 0.3), {"n_clusters": 3}, "features of all 9 items are equal"),
        (np.eye(5), {"n_clusters": 2, "previous": [0, 1]}, "2 previous labels for 5 items"),
        (np.array([[0.0], [np.nan]]), {"n_clusters": 2}, r"features\[1\] holds NaN"),
    ],
)
def test_wrong_input_is_named(features, options, message):
    with pytest.raises(ValueError, match=message):
        pseudo_labels(features, **options)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rows_that_differ_by_rounding_alone_are_equal(dtype):
    step = torch.finfo(dtype).eps
    rows = torch.full((6, 4), 1000.0, dtype=dtype)
    rows[3, 2] *= 1 + 4 * step
    with pytest.raises(ValueError, match="features of all 6 items are equal"):
        pseudo_labels(rows, 2)
    rows[3, 2] = 1000 * (1 + 100 * step)
    assert sorted(pseudo_labels(rows, 2, random_state=0).sizes.tolist()) == [1, 5]
