"""The number of clusters against the criteria written out, and on blobs."""

import math

import numpy as np
import pytest
import torch

from pcclust.cluster import (
    CurvePoint,
    KMeans,
    NumberOfClusters,
    number_of_clusters,
    silhouette,
)
from pcclust.cluster.number import _kept_together


def blobs(kinds=4, each=20, width=6, apart=12.0, seed=0):
    generator = np.random.default_rng(seed)
    of = np.arange(kinds * each) % kinds
    return generator.normal(size=(kinds * each, width)) + apart * np.eye(width)[of]


def kept_written_out(clusters, predicted):
    """The paper's formula: pairs in one cluster that the other half's centers keep together."""
    fractions = []
    for cluster in set(clusters):
        members = [i for i, c in enumerate(clusters) if c == cluster]
        pairs = [(i, j) for i in members for j in members if i != j]
        if pairs:
            fractions.append(sum(predicted[i] == predicted[j] for i, j in pairs) / len(pairs))
    return min(fractions, default=0.0)


@pytest.mark.parametrize("seed", range(5))
def test_pairs_are_counted_as_in_the_paper(seed):
    generator = np.random.default_rng(seed)
    clusters, predicted = generator.integers(0, 4, size=(2, 15))
    expected = kept_written_out(clusters.tolist(), predicted.tolist())
    assert _kept_together(clusters, predicted) == pytest.approx(expected)


def test_clusters_of_one_make_no_pairs():
    assert _kept_together(np.arange(5), np.zeros(5, dtype=np.int64)) == 0


@pytest.mark.parametrize("kinds", [2, 4, 5])
@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy])
def test_blobs_are_counted(kinds, convert):
    found = number_of_clusters(convert(blobs(kinds)), range(2, 9))
    assert found.best == kinds
    assert found.criterion == "prediction strength"
    at = {point.n_clusters: point for point in found.curve}
    assert list(at) == list(range(2, 9))
    assert max(at, key=lambda n: at[n].silhouette) == kinds
    assert at[kinds].agreement == pytest.approx(1)


def test_the_silhouette_is_that_of_k_means_and_serves_where_nothing_is_supported():
    noise = np.random.default_rng(3).normal(size=(60, 20))
    found = number_of_clusters(noise, (5, 7))
    clusters = KMeans(5, random_state=0).fit(noise).labels_
    assert found.curve[0].silhouette == pytest.approx(silhouette(noise, clusters))
    assert found.criterion == "silhouette"
    assert found.best == max(found.curve, key=lambda point: point.silhouette).n_clusters


def test_one_seed_one_curve_and_progress():
    steps = []
    points = blobs(3)
    first = number_of_clusters(points, (3, 2, 3), seed=5, advance=lambda: steps.append(1))
    assert first == number_of_clusters(points, (2, 3), seed=5)
    assert len(steps) == 2


def test_equal_items_have_no_clusters_but_an_answer():
    with pytest.warns(Warning, match="distinct|differ"):
        found = number_of_clusters(np.ones((8, 2)), (2, 3))
    assert all(math.isfinite(value) for point in found.curve for value in point)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"candidates": ()}, "candidates is empty"),
        ({"candidates": (1, 2)}, r"candidates 1: 80 items"),
        ({"candidates": (2, 41)}, "2 to 40 clusters"),
        ({"candidates": (2,), "repeats": 1}, "repeats=1"),
    ],
)
def test_it_refuses(options, match):
    with pytest.raises(ValueError, match=match):
        number_of_clusters(blobs(), **options)


@pytest.mark.parametrize(
    ("numbers", "best", "criterion", "said"),
    [
        ((3, 4, 5), 4, "prediction strength", []),
        ((3, 4, 5), 5, "prediction strength", ["5 is the largest number compared"]),
        ((3, 4, 5), 3, "prediction strength", ["3 is the smallest number compared"]),
        ((2, 3), 2, "prediction strength", []),  # there are no fewer
        ((5,), 5, "prediction strength", []),  # it was asked for
        ((3, 4), 4, "silhouette", ["No number has a prediction strength of 0.8", "4 is the larg"]),
    ],
)
def test_a_number_at_an_end_or_without_support_is_doubted(numbers, best, criterion, said):
    curve = tuple(CurvePoint(number, 0.1, 0.5, 0.5) for number in numbers)
    doubts = NumberOfClusters(curve, best, criterion).doubts
    assert len(doubts) == len(said)
    assert all(doubt.startswith(start) for doubt, start in zip(doubts, said, strict=True))


def test_two_repeats_are_enough():
    assert len(number_of_clusters(blobs(), (2, 3), repeats=2).curve) == 2
