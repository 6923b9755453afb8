"""Measures of clusters against references written from their definitions."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcclust.cluster.contingency import contingency_table, fit_cluster_map
from pcclust.cluster.metrics import (
    adjusted_rand_index,
    class_mean_accuracy,
    clustering_accuracy,
    normalized_mutual_information,
    purity,
    size_perplexity,
)

MEASURES = [
    clustering_accuracy,
    class_mean_accuracy,
    purity,
    normalized_mutual_information,
    adjusted_rand_index,
]


@st.composite
def partitions(draw):
    """Classes and clusters of the same few items, numbered with gaps."""
    count = draw(st.integers(1, 14))
    numbers = st.sampled_from([0, 1, 2, 7, 40])
    both = [draw(st.lists(numbers, min_size=count, max_size=count)) for _ in range(2)]
    return np.array(both[0]), np.array(both[1])


def best_share(labels, clusters):
    """Tries every one-to-one map."""
    classes, found = sorted(set(labels)), sorted(set(clusters))
    padded = [*classes, *[None] * len(found)]
    best = 0
    for chosen in itertools.permutations(padded, len(found)):
        mapping = dict(zip(found, chosen, strict=True))
        best = max(best, sum(mapping[c] == t for t, c in zip(labels, clusters, strict=True)))
    return best / len(labels)


def entropy(values):
    shares = [list(values).count(v) / len(values) for v in set(values)]
    return -sum(share * math.log(share) for share in shares)


def mutual_information(labels, clusters):
    count, pairs = len(labels), list(zip(labels, clusters, strict=True))
    total = 0.0
    for t, c in set(pairs):
        joint = pairs.count((t, c)) / count
        apart = list(labels).count(t) * list(clusters).count(c) / count**2
        total += joint * math.log(joint / apart)
    return total


def rand_index_less_chance(labels, clusters):
    """Counts pairs one by one."""
    both = same_class = same_cluster = pairs = 0
    for i, j in itertools.combinations(range(len(labels)), 2):
        pairs += 1
        same_class += labels[i] == labels[j]
        same_cluster += clusters[i] == clusters[j]
        both += labels[i] == labels[j] and clusters[i] == clusters[j]
    if same_class == same_cluster and same_class in (0, pairs):
        return 1.0
    expected = same_class * same_cluster / pairs
    return (both - expected) / ((same_class + same_cluster) / 2 - expected)


@given(partitions())
def test_accuracy_is_that_of_the_best_one_to_one_map(given_partitions):
    labels, clusters = given_partitions
    assert clustering_accuracy(labels, clusters) == pytest.approx(best_share(labels, clusters))
    mapping = fit_cluster_map(labels, clusters)
    assert len(set(mapping.classes)) == len(mapping.classes)
    assert len(mapping.classes) == min(len(set(labels)), len(set(clusters)))


@given(partitions())
def test_information_and_pairs_are_as_defined(given_partitions):
    labels, clusters = given_partitions
    shared, apart = mutual_information(labels, clusters), (entropy(labels), entropy(clusters))
    arithmetic = normalized_mutual_information(labels, clusters)
    geometric = normalized_mutual_information(labels, clusters, "geometric")
    if all(apart):
        assert arithmetic == pytest.approx(shared / (sum(apart) / 2), abs=1e-9)
        assert geometric == pytest.approx(shared / math.sqrt(math.prod(apart)), abs=1e-9)
    else:
        assert arithmetic == geometric == (apart == (0, 0))
    assert adjusted_rand_index(labels, clusters) == pytest.approx(
        rand_index_less_chance(labels, clusters)
    )


@given(partitions())
def test_class_mean_and_purity_are_as_defined(given_partitions):
    labels, clusters = given_partitions
    given_classes = fit_cluster_map(labels, clusters).apply(clusters)
    shares = [np.mean(given_classes[labels == t] == t) for t in set(labels)]
    assert class_mean_accuracy(labels, clusters) == pytest.approx(np.mean(shares))
    most = [max(np.sum(labels[clusters == c] == t) for t in set(labels)) for c in set(clusters)]
    assert purity(labels, clusters) == pytest.approx(sum(most) / len(labels))


@given(partitions())
def test_scikit_learn_agrees(given_partitions):
    metrics = pytest.importorskip("sklearn.metrics")
    labels, clusters = given_partitions
    for average in ("arithmetic", "geometric"):
        assert normalized_mutual_information(labels, clusters, average) == pytest.approx(
            metrics.normalized_mutual_info_score(labels, clusters, average_method=average),
            abs=1e-9,
        )
    assert adjusted_rand_index(labels, clusters) == pytest.approx(
        metrics.adjusted_rand_score(labels, clusters)
    )


@pytest.mark.parametrize("kind", [list, np.array, torch.tensor, lambda x: np.array(x, np.uint8)])
@pytest.mark.parametrize("measure", MEASURES)
def test_names_of_clusters_and_kinds_of_numbers_do_not_matter(measure, kind):
    labels, clusters = [3, 3, 3, 5, 5, 9], [8, 8, 8, 0, 0, 2]
    assert measure(kind(labels), kind(clusters)) == 1


def test_a_map_of_one_set_serves_another():
    mapping = fit_cluster_map([4, 4, 7, 7, 7], [1, 1, 0, 0, 0])
    assert clustering_accuracy([7, 4, 4], [0, 0, 1], mapping) == pytest.approx(2 / 3)
    assert class_mean_accuracy([7, 4, 4], [0, 0, 1], mapping) == pytest.approx((1 + 0.5) / 2)
    assert mapping.apply([0, 1, 2, 99]).tolist() == [7, 4, -1, -1]


def test_more_and_fewer_clusters_than_classes_are_defined():
    assert clustering_accuracy([0, 0, 1, 1], [0, 1, 2, 3]) == 0.5
    assert clustering_accuracy([0, 1, 2, 3], [5, 5, 5, 5]) == 0.25
    assert class_mean_accuracy([0, 1, 1, 1], [5, 5, 5, 5]) == 0.5
    assert purity([0, 1, 1, 1], [5, 5, 5, 5]) == 0.75
    assert fit_cluster_map([0, 0], [3, 4]).apply([3, 4]).tolist().count(0) == 1


@pytest.mark.parametrize("measure", MEASURES)
def test_one_item_is_right(measure):
    assert measure([2], [7]) == 1


def test_counts_are_a_table_of_those_that_have_items():
    table, classes, clusters = contingency_table([9, 9, 4], [1, 6, 6])
    assert table.tolist() == [[0, 1], [1, 1]]
    assert (classes.tolist(), clusters.tolist()) == ([4, 9], [1, 6])


def test_many_pairs_are_counted_exactly():
    labels = np.zeros(300_000, np.int32)
    labels[:2] = 1
    assert adjusted_rand_index(labels, labels) == 1


def test_size_perplexity_counts_equal_sizes():
    assert size_perplexity(np.repeat([3, 5, 8], 7)) == pytest.approx(3)
    assert size_perplexity([4] * 9) == 1
    shares = np.array([90, 5, 5]) / 100
    expected = np.exp(-(shares * np.log(shares)).sum())
    assert size_perplexity(np.repeat([0, 1, 9], [90, 5, 5])) == pytest.approx(expected)


@pytest.mark.parametrize("measure", [*MEASURES, fit_cluster_map])
@pytest.mark.parametrize(
    ("labels", "clusters", "error", "message"),
    [
        (None, [0, 1], ValueError, "labels are needed, got None"),
        ([0, -1, -1], [0, 1, 1], ValueError, r"labels\[1\] is -1.*2 of 3 have none"),
        ([0, 1, 1], [0, 1, -1], ValueError, r"clusters\[2\] is -1"),
        ([0, 1, 1], [0, 1], ValueError, "3 labels, but 2 clusters"),
        ([], [], ValueError, r"labels must be \(N,\) with N >= 1"),
        ([[0, 1]], [0, 1], ValueError, r"labels must be \(N,\) .*\(1, 2\)"),
        ([0.0, 1.0], [0, 1], TypeError, "labels must be integers, got float64"),
    ],
)
def test_what_cannot_be_compared_is_named(measure, labels, clusters, error, message):
    with pytest.raises(error, match=message):
        measure(labels, clusters)


def test_lengths_are_compared_under_a_given_map_too():
    mapping = fit_cluster_map([0, 1], [0, 1])
    with pytest.raises(ValueError, match="3 labels, but 2 clusters"):
        clustering_accuracy([0, 1, 1], [0, 1], mapping)


def test_an_unknown_average_is_named():
    with pytest.raises(ValueError, match="average='max' is neither"):
        normalized_mutual_information([0, 1], [0, 1], "max")
