"""Every measure, against loops written from its definition."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pcclust.evaluate.predictions import Predictions


@st.composite
def some_answers(draw):
    classes, rounds, shapes = (
        draw(st.integers(1, 4)),
        draw(st.integers(1, 4)),
        draw(st.integers(1, 9)),
    )
    label = st.integers(0, classes - 1)
    labels = draw(st.lists(label, min_size=shapes, max_size=shapes))
    row = st.lists(label, min_size=shapes, max_size=shapes)
    rows = draw(st.lists(row, min_size=rounds, max_size=rounds))
    return Predictions(np.array(rows), np.array(labels), classes)


@given(some_answers())
def test_measures_are_what_their_definitions_say(answers):
    rounds, labels = answers.predictions.tolist(), answers.labels.tolist()
    fractions = [sum(map(int.__eq__, row, labels)) / len(labels) for row in rounds]
    assert answers.mean == pytest.approx(statistics.mean(fractions))
    assert answers.std == pytest.approx(statistics.stdev(fractions) if len(fractions) > 1 else 0)
    assert answers.worst == pytest.approx(min(fractions))
    columns = list(zip(*rounds, strict=True))
    constant = [len(set(column)) == 1 for column in columns]
    assert answers.consistency == pytest.approx(statistics.mean(constant))
    right = [set(column) == {label} for column, label in zip(columns, labels, strict=True)]
    assert answers.always_right == pytest.approx(statistics.mean(right))
    confusion = np.zeros((answers.num_classes, answers.num_classes), int)
    for row in rounds:
        for label, predicted in zip(labels, row, strict=True):
            confusion[label, predicted] += 1
    np.testing.assert_array_equal(answers.confusion, confusion)
    classes = []
    for label in range(answers.num_classes):
        total = confusion[label].sum()
        fraction = confusion[label, label] / total if total else math.nan
        assert answers.per_class[label] == pytest.approx(fraction, nan_ok=True)
        classes += [fraction] if total else []
    assert answers.class_mean == pytest.approx(statistics.mean(classes))


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        ([[0, 1]], [0], r"\(1, 2\) for \(1,\)"),
        (np.zeros((0, 2), int), [0, 0], "no predictions"),
        ([[0, 2]], [0, 0], "prediction 2 is not one of 2 classes"),
        ([[0, 0]], [0, -1], "label -1 is not one of 2 classes"),
    ],
)
def test_what_cannot_be_is_refused(predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        Predictions(np.array(predictions), np.array(labels), 2)
