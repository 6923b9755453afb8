"""The votes must be those of the formula, computed shape by shape."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.evaluate import weighted_knn
from pcclust.evaluate.weighted_knn import WeightedKNN


def slow(features, labels, queries, k, temperature):
    """Wu et al.'s weighted kNN, from its formula, without an array."""
    answers = []
    for query in queries.tolist():
        near = []
        for feature, label in zip(features.tolist(), labels.tolist(), strict=True):
            lengths = math.hypot(*query) * math.hypot(*feature)
            dot = sum(a * b for a, b in zip(query, feature, strict=True))
            near.append((dot / lengths if lengths else 0.0, label))
        near.sort(reverse=True)
        votes = {}
        for cosine, label in near[:k]:
            votes[label] = votes.get(label, 0) + math.exp(cosine / temperature)
        answers.append(max(sorted(votes), key=votes.__getitem__))
    return answers


def drawn(shapes, width, classes, seed, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    features = torch.randn(shapes, width, generator=generator, dtype=dtype)
    return features, torch.randint(classes, (shapes,), generator=generator)


@settings(deadline=None, max_examples=60)
@given(
    shapes=st.integers(1, 60),
    width=st.integers(1, 12),
    classes=st.integers(1, 6),
    k=st.integers(1, 30),
    temperature=st.sampled_from([0.01, 0.07, 0.5, 3.0]),
    seed=st.integers(0, 1000),
)
def test_the_votes_are_those_of_the_formula(shapes, width, classes, k, temperature, seed):
    features, labels = drawn(shapes, width, classes, seed)
    queries, _ = drawn(20, width, classes, seed + 1)
    if width == 1:  # all cosines are 1 or -1, so that which ones are nearest is open
        k = shapes
    classifier = WeightedKNN(features, labels, k=k, temperature=temperature)
    expected = slow(features, labels, queries, min(k, shapes), temperature)
    assert classifier.predict(queries).tolist() == expected


def test_without_a_temperature_the_majority_wins_and_with_a_low_one_the_nearest():
    angles = torch.tensor([0.0, 0.3, 0.31, 0.32, 3.0])
    features = torch.stack([angles.cos(), angles.sin()], dim=1)
    labels = torch.tensor([4, 9, 9, 9, 4])
    query = features[:1] * 7  # lengths do not matter

    def answer(k, temperature):
        classifier = WeightedKNN(features, labels, k=k, temperature=temperature)
        return classifier.predict(query).tolist()

    assert answer(4, 1e6) == [9]
    assert answer(1, 1e6) == [4]
    assert answer(4, 1e-3) == answer(4, 1e-30) == [4]


def test_many_queries_are_asked_in_parts(monkeypatch):
    features, labels = drawn(100, 8, 5, 0, torch.float32)
    queries, _ = drawn(75, 8, 5, 1, torch.float32)
    whole = WeightedKNN(features, labels).predict(queries)
    monkeypatch.setattr(weighted_knn, "QUERIES", 10)
    np.testing.assert_array_equal(WeightedKNN(features, labels).predict(queries), whole)
    assert WeightedKNN(features, labels).k == 20
    assert WeightedKNN(features[:7], labels[:7]).k == 7


def test_features_of_length_0_have_cosine_0():
    features = torch.tensor([[0.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    classifier = WeightedKNN(features, torch.tensor([1, 2, 3]), k=1)
    assert classifier.predict(torch.tensor([[1.0, -0.1], [0.1, 1.0], [-3.0, 0.0]])).tolist() == [
        1,
        2,
        3,
    ]
    assert set(classifier.predict(torch.zeros(3, 2))) <= {1, 2, 3}


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="3 features and 2 labels"):
        WeightedKNN(torch.ones(3, 2), torch.zeros(2))
    with pytest.raises(ValueError, match="0 features and 0 labels"):
        WeightedKNN(torch.ones(0, 2), torch.zeros(0))
    for wrong in ({"k": 0}, {"temperature": 0}):
        with pytest.raises(ValueError, match=r"k=.* must be positive"):
            WeightedKNN(torch.ones(3, 2), torch.zeros(3), **wrong)
