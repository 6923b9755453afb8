"""The kernel probe against kernel values written out."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.svm import LinearSVC

from pcclust.cluster import KernelMap
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


def test_fewer_landmarks_are_a_linear_svm_on_the_root_of_their_kernel():
    (seen, labels), (shown, _) = rings(60), rings(60, seed=1)
    probe = KernelProbe(seen, labels, landmarks=59)
    found = KernelMap(59, landmarks="random", random_state=0).fit(seen)
    theirs = LinearSVC(C=probe.C, dual=False, tol=1e-9, max_iter=100_000)
    theirs.fit(found.transform(seen) * 59**0.5, labels)
    agree = probe.predict(shown) == theirs.predict(found.transform(shown) * 59**0.5)
    assert agree.mean() > 0.97


@pytest.mark.parametrize("landmarks", [None, 60, 1000])
def test_with_all_shapes_as_landmarks_it_is_ridge_regression_on_their_map(landmarks):
    (seen, labels), (shown, _) = rings(60), rings(60, seed=1)
    probe = KernelProbe(seen.double(), labels, landmarks=landmarks)
    found = KernelMap(60, bandwidth=1.0).fit(seen.double())
    targets = 2.0 * (labels[:, None] == torch.tensor([4, 5])) - 1
    theirs = Ridge(alpha=1 / (2 * probe.C), fit_intercept=False)
    theirs.fit(found.transform(seen.double()), targets)
    expected = 4 + theirs.predict(found.transform(shown.double())).argmax(axis=1)
    np.testing.assert_array_equal(probe.predict(shown.double()), expected)


def test_of_many_shapes_some_are_landmarks(monkeypatch):
    monkeypatch.setattr("pcclust.evaluate.kernel_probe.MOST_EXACT", 50)
    monkeypatch.setattr("pcclust.evaluate.kernel_probe.LANDMARKS", 20)
    (seen, labels), (shown, _) = rings(51), rings(60, seed=1)
    expected = KernelProbe(seen, labels, landmarks=20)
    found = KernelProbe(seen, labels)
    assert found.C == expected.C
    np.testing.assert_array_equal(found.predict(shown), expected.predict(shown))
    assert (
        KernelProbe(seen[:50], labels[:50]).C == KernelProbe(seen[:50], labels[:50], landmarks=50).C
    )


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


def test_too_few_shapes_and_labels_are_refused():
    for features, labels in ((torch.ones(1, 2), torch.ones(1)), (torch.ones(4, 2), torch.ones(3))):
        with pytest.raises(ValueError, match="at least two shapes and a label for each"):
            KernelProbe(features, labels.long())
