"""Silhouette widths against their definition."""

from importlib import import_module

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

module = import_module("pcclust.cluster.silhouette")  # the package has the function of that name
silhouette = module.silhouette


def widths(features, clusters):
    """Returns all widths, item by item."""
    found = []
    for i in range(len(features)):
        away = np.sqrt(((features - features[i]) ** 2).sum(axis=1))
        own = clusters == clusters[i]
        own[i] = False
        if not own.any():
            found.append(0.0)
            continue
        a = away[own].mean()
        b = min(away[clusters == c].mean() for c in set(clusters) if c != clusters[i])
        found.append((b - a) / max(a, b) if max(a, b) > 0 else 0.0)
    return np.array(found)


@given(st.integers(0, 10**6), st.integers(2, 30), st.integers(2, 6))
def test_it_is_the_mean_of_all_widths(seed, count, k):
    generator = np.random.default_rng(seed)
    features = generator.integers(-2, 3, size=(count, 2)).astype(float)  # with duplicates
    clusters = generator.integers(0, k, size=count) * 5
    clusters[:2] = 0, 5
    # Distances come from products: those of equal rows are not exactly 0.
    assert silhouette(features, clusters) == pytest.approx(
        widths(features, clusters).mean(), abs=1e-6
    )


def test_scikit_learn_agrees():
    metrics = pytest.importorskip("sklearn.metrics")
    features = np.random.default_rng(0).normal(size=(200, 16)) + 1e3
    clusters = np.arange(200) % 7
    expected = metrics.silhouette_score(features, clusters)
    assert silhouette(features, clusters) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_every_precision_and_tensors_are_taken(dtype):
    features = torch.tensor([[0.0], [1], [8], [9], [9]], dtype=dtype)
    clusters = torch.tensor([0, 0, 1, 1, 1])
    expected = widths(features.double().numpy(), clusters.numpy()).mean()
    assert silhouette(features, clusters) == pytest.approx(expected)


def test_a_sample_has_the_widths_of_its_items_against_all(monkeypatch):
    generator = np.random.default_rng(3)
    features, clusters = generator.normal(size=(300, 4)), generator.integers(0, 5, 300)
    chosen = torch.randperm(300, generator=torch.Generator().manual_seed(9))[:40].numpy()
    sampled = silhouette(features, clusters, max_samples=40, seed=9)
    assert sampled == pytest.approx(widths(features, clusters)[chosen].mean())
    assert sampled != silhouette(features, clusters, max_samples=40, seed=8)
    monkeypatch.setattr(module, "BLOCK", 700)  # two items at once
    assert silhouette(features, clusters, max_samples=40, seed=9) == pytest.approx(sampled)


def test_every_item_alone_has_no_width():
    assert silhouette(np.eye(4), [0, 1, 2, 3]) == 0


@pytest.mark.parametrize(
    ("features", "clusters", "options", "message"),
    [
        (np.eye(3), [4, 4, 4], {}, "needs two clusters, and all items are in one"),
        (np.eye(3), [0, 1], {}, "3 features, but 2 clusters"),
        (np.eye(3), [0, 1, -1], {}, r"clusters\[2\] is -1"),
        (np.full((3, 1), np.nan), [0, 1, 1], {}, r"features\[0\] holds NaN"),
        (np.eye(3), [0, 1, 1], {"max_samples": 0}, "max_samples=0 must be at least 1"),
    ],
)
def test_wrong_input_is_named(features, clusters, options, message):
    with pytest.raises(ValueError, match=message):
        silhouette(features, clusters, **options)


def test_far_from_the_origin_no_digits_are_lost():
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 3))
    clusters = generator.integers(0, 3, size=40)
    far = features + 1e7
    assert silhouette(far, clusters) == pytest.approx(widths(far, clusters).mean(), abs=1e-6)
