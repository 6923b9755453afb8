"""Every class must keep its share of labels, and none may be lost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pcclust.data.splits import few_labels


@settings(deadline=None, max_examples=50)
@given(
    counts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    fraction=st.floats(0.001, 1),
    repeat=st.integers(0, 5),
)
def test_each_class_keeps_its_share_and_at_least_one(counts, fraction, repeat):
    labels = torch.repeat_interleave(torch.arange(len(counts)) * 3, torch.tensor(counts))
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    chosen = few_labels(labels, fraction, repeat=repeat)
    assert (chosen.diff() > 0).all()
    for label, count in enumerate(counts):
        kept = int((labels[chosen] == 3 * label).sum())
        assert kept == max(1, round(fraction * count))


def test_repeats_and_seeds_differ_and_small_fractions_are_part_of_large_ones():
    labels = torch.arange(1000) % 10
    first = few_labels(labels, 0.05)
    assert first.tolist() == few_labels(labels, 0.05, repeat=0, seed=0).tolist()
    for other in (few_labels(labels, 0.05, repeat=1), few_labels(labels, 0.05, seed=1)):
        assert not set(first.tolist()) <= set(other.tolist())
    assert set(few_labels(labels, 0.01).tolist()) < set(first.tolist())
    assert set(first.tolist()) < set(few_labels(labels, 0.2).tolist())
    assert few_labels(labels, 1).tolist() == list(range(1000))


@pytest.mark.parametrize("fraction", [0, -0.1, 1.01, float("nan")])
def test_fractions_that_cannot_be_are_refused(fraction):
    with pytest.raises(ValueError, match=r"fraction of .* must be above 0 and at most 1"):
        few_labels(torch.arange(3), fraction)
