"""Spectral clustering of a self-tuning graph."""

import numpy as np
import pytest
import torch

from pcclust.cluster import SelfTuningSpectral, SpectralMap, clustering_accuracy


def rings(count=180, seed=0):
    """Three rings, one in the other, which k-means cannot tell apart."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    angles = 2 * np.pi * (np.arange(count) + generator.uniform(0, 1, count)) / count
    radius = np.array([1.0, 3.0, 6.0])[labels] + 0.02 * generator.normal(size=count)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1), labels


def test_others_go_where_their_neighbours_say():
    X = np.random.default_rng(1).normal(size=(70, 4))
    others = np.random.default_rng(2).normal(size=(30, 4))
    model = SelfTuningSpectral(3, n_neighbors=5, random_state=0).fit(X)
    rows = SpectralMap(3, n_neighbors=5).fit(X)
    np.testing.assert_array_equal(model.embedding_, rows.embedding_)
    centers = np.stack([rows.embedding_[model.labels_ == c].mean(axis=0) for c in range(3)])
    distances = np.linalg.norm(rows.transform(others)[:, None] - centers, axis=2)
    np.testing.assert_array_equal(model.predict(others), distances.argmin(axis=1))


def test_rings_are_found_and_kept_apart():
    X, labels = rings()
    model = SelfTuningSpectral(3, n_neighbors=4, random_state=0).fit(X)
    assert clustering_accuracy(labels, model.labels_) == 1
    others, theirs = rings(seed=5)
    assert clustering_accuracy(theirs, model.predict(others)) == 1


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_no_magnitude_matters(scale):
    X, _ = rings()
    plain = SelfTuningSpectral(3, n_neighbors=4, random_state=0).fit(X)
    other = SelfTuningSpectral(3, n_neighbors=4, random_state=0).fit(X * scale)
    # Which of them is called 0 may hang on rounding, since 1e25 is no power of two.
    assert clustering_accuracy(plain.labels_, other.labels_) == 1
    assert clustering_accuracy(plain.predict(X), other.predict(X * scale)) == 1


def test_tensors_stay_tensors_and_a_seed_gives_the_same():
    X = torch.tensor(rings()[0], dtype=torch.float32)
    first, again = (SelfTuningSpectral(3, random_state=4).fit(X) for _ in range(2))
    assert torch.equal(first.labels_, again.labels_)
    assert first.embedding_.dtype == torch.float32
    assert first.predict(X).dtype == torch.int64


def test_samples_that_are_all_alike_or_repeated_make_no_nan():
    same = SelfTuningSpectral(2, random_state=0)
    same.fit(np.ones((9, 3)))
    assert np.isfinite(same.embedding_).all()
    twice = np.repeat(np.random.default_rng(0).normal(size=(6, 3)), 10, axis=0)
    model = SelfTuningSpectral(6, random_state=0).fit(twice)
    assert np.isfinite(model.embedding_).all()
    assert clustering_accuracy(np.arange(60) // 10, model.labels_) == 1
    np.testing.assert_array_equal(model.predict(twice), model.labels_)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_clusters": 180}, ValueError, "n_clusters=180 must be below n_samples=180"),
        ({"n_clusters": 0}, ValueError, "n_clusters=0 must be at least 1"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors=0 must be at least 1"),
        ({"n_neighbors": 2.5}, TypeError, "n_neighbors must be an int"),
    ],
)
def test_wrong_settings_are_named(settings, error, message):
    with pytest.raises(error, match=message):
        SelfTuningSpectral(**({"n_clusters": 3} | settings)).fit(rings()[0])
