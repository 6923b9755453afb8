"""The kernel probe against kernel values written out."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from pcclust.evaluate.kernel_probe import KernelProbe
from pcclust.evaluate.linear_probe import LinearProbe


def rings(count=100, seed=0):
    """Two classes that no line parts."""
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2 + 4
    points = torch.nn.functional.normalize(torch.randn(count, 2, generator=draw), dim=1)
    noise = 0.1 * torch.randn(count, 2, generator=draw)
    return (labels[:, None] - 3) * points + noise, labels


def test_it_parts_what_no_line_parts():
    (seen, labels), (shown, known) = rings(), rings(seed=1)
    linear = LinearProbe(seen, labels).predict(shown)
    mapped = KernelProbe(seen, labels, landmarks=30).predict(shown)
    assert (linear == known.numpy()).mean() < 0.7
    assert (mapped == known.numpy()).mean() > 0.97


def test_with_all_shapes_as_landmarks_it_is_the_machine_on_the_root_of_the_kernel():
    (seen, labels), (shown, _) = rings(60), rings(60, seed=1)
    probe = KernelProbe(seen, labels, landmarks=1000)
    both = np.concatenate([seen.double(), shown.double()])
    both = (both - both[:60].mean(axis=0)) / both[:60].std(axis=0)
    distances = ((both[:, None] - both[None, :60]) ** 2).sum(axis=2)
    kernel = np.exp(-distances / (0.5 * distances[:60].sum() / (60 * 59)))
    values, axes = np.linalg.eigh(kernel[:60])
    root = axes / np.sqrt(values.clip(1e-12)) @ axes.T
    mapped = kernel @ root * 60**0.5
    theirs = LinearSVC(C=probe.C, dual=False, tol=1e-9, max_iter=100_000)
    theirs.fit(mapped[:60], labels)
    agree = probe.predict(shown) == theirs.predict(mapped[60:])
    assert agree.mean() > 0.97


def test_blocks_give_two_columns_as_much_say_as_many():
    (seen, labels), (shown, known) = rings(), rings(seed=1)
    draw = torch.Generator().manual_seed(2)
    learned, tested = (
        torch.cat([columns, torch.randn(100, 60, generator=draw)], dim=1)
        for columns in (seen, shown)
    )

    def right(blocks):
        probe = KernelProbe(learned, labels, landmarks=100, blocks=blocks)
        return (probe.predict(tested) == known.numpy()).mean()

    assert right((2, 60)) > 0.9
    assert right(None) < 0.8


def test_the_seed_decides():
    (seen, labels), (shown, _) = rings(), rings(seed=1)
    answers = [KernelProbe(seen, labels, landmarks=3, seed=s).predict(shown) for s in (0, 0, 1)]
    np.testing.assert_array_equal(answers[0], answers[1])
    assert (answers[0] != answers[2]).any()


def test_features_that_are_all_equal_are_refused():
    with pytest.raises(ValueError, match="equal"):
        KernelProbe(torch.ones(4, 2), torch.arange(4))
