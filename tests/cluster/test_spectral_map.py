"""Eigenvectors of a self-tuning graph, against its formulas written out."""

import numpy as np
import pytest
import torch

from pcclust.cluster import SpectralMap
from pcclust.cluster import spectral_map as module


def weights_of(X, others, scales, k):
    """Returns the weights of the k nearest of others, and 0 for the rest, row by row."""
    W = np.zeros((len(X), len(others)))
    for i, x in enumerate(X):
        d = np.linalg.norm(others - x, axis=1)
        d[d == 0] = np.inf if X is others else 0
        near = np.argsort(d, kind="stable")[:k]
        s = d[near[-1]]
        W[i, near] = [np.exp(-(d[j] ** 2) / (s * scales[j])) for j in near]
    return W


def scales_of(X, k):
    distances = np.linalg.norm(X[:, None] - X, axis=2)
    return np.sort(distances, axis=1)[:, k]  # the nearest is the sample itself


def reference(X, clusters, k):
    """Returns the embedding, and the map of others into it, from dense matrices."""
    scales = scales_of(X, k)
    W = weights_of(X, X, scales, k)
    W = np.maximum(W, W.T)
    degrees = W.sum(axis=1)
    values, vectors = np.linalg.eigh(W / np.sqrt(np.outer(degrees, degrees)))
    values, vectors = values[::-1][:clusters], vectors[:, ::-1][:, :clusters]

    def extend(others):
        A = weights_of(others, X, scales, k)
        A = A / np.sqrt(A.sum(axis=1, keepdims=True) * degrees)
        found = A @ vectors / values
        return found / np.linalg.norm(found, axis=1, keepdims=True)

    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), values, extend


def gram(embedding):
    """What is the same whatever the signs and rotations of eigenvectors are."""
    return embedding @ embedding.T


def samples(count=70, seed=1):
    return np.random.default_rng(seed).normal(size=(count, 4))


@pytest.mark.parametrize("dense", [True, False])
def test_the_embedding_is_that_of_the_formulas(monkeypatch, dense):
    if not dense:
        monkeypatch.setattr(module, "DENSE", 0)
    model = SpectralMap(3, n_neighbors=5).fit(samples())
    embedding, values, _ = reference(samples(), 3, 5)
    np.testing.assert_allclose(gram(model.embedding_), gram(embedding), atol=1e-8)
    np.testing.assert_allclose(model.eigenvalues_, values, atol=1e-10)


def test_other_samples_get_what_their_neighbours_imply():
    model = SpectralMap(3, n_neighbors=5).fit(samples())
    _, _, extend = reference(samples(), 3, 5)
    for rows in (samples(30, 2), samples()):
        given = extend(rows.copy())  # a copy: a fitted sample is its own neighbour here
        np.testing.assert_allclose(gram(model.transform(rows)), gram(given), atol=1e-8)


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_no_magnitude_matters(scale):
    X = samples()
    plain, other = SpectralMap(3).fit(X), SpectralMap(3).fit(X * scale)
    np.testing.assert_allclose(other.transform(X * scale), plain.transform(X), atol=1e-6)


def test_precision_and_container_are_those_given():
    X = torch.tensor(samples(), dtype=torch.float32)
    model = SpectralMap(2).fit(X)
    assert model.embedding_.dtype == model.transform(X).dtype == torch.float32
    arrays = SpectralMap(2).fit(X.numpy()).transform(X.numpy())
    assert arrays.dtype == np.float32
    np.testing.assert_array_equal(arrays, model.transform(X).numpy())


def test_samples_that_are_all_alike_or_repeated_make_no_nan():
    for X in (np.ones((9, 3)), np.repeat(samples(6), 10, axis=0)):
        model = SpectralMap(4).fit(X)
        assert np.isfinite(model.embedding_).all()
        assert np.isfinite(model.transform(X)).all()


def test_few_labels_reach_along_a_ring():
    angles = np.arange(120) * 0.21
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    rows = SpectralMap(2).fit_transform(np.concatenate([ring, 3 * ring]))
    assert (rows[:120] @ rows[0] > 0.99).all()
    assert (rows[120:] @ rows[0] < 0.01).all()


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"n_components": 70}, ValueError, "n_components=70 must be below n_samples=70"),
        ({"n_components": 0}, ValueError, "n_components=0 must be at least 1"),
        ({"n_neighbors": 0}, ValueError, "n_neighbors=0 must be at least 1"),
        ({"n_neighbors": 2.5}, TypeError, "n_neighbors must be an int"),
    ],
)
def test_wrong_settings_are_named(settings, error, message):
    with pytest.raises(error, match=message):
        SpectralMap(**({"n_components": 3} | settings)).fit(samples())
