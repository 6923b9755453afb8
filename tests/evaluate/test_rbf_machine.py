"""The machine must be scikit-learn's SVC, whichever way its kernel is computed."""

import numpy as np
import pytest
import torch
from sklearn.svm import SVC

from pcclust.evaluate import rbf_machine
from pcclust.evaluate.rbf_machine import RBFMachine


@pytest.mark.parametrize("kept", [1000, 10])
@pytest.mark.parametrize(("width", "classes"), [(1, 2), (16, 5)])
def test_the_answers_are_those_of_svc(kept, width, classes, monkeypatch):
    monkeypatch.setattr(rbf_machine, "KEPT_SHAPES", kept)
    monkeypatch.setattr(rbf_machine, "QUERIES", 70)
    draw = torch.Generator().manual_seed(width)
    labels = torch.arange(150) % classes + 3
    centres = torch.randn(classes + 3, width, generator=draw)
    features = 4 * (centres[labels] + torch.randn(150, width, generator=draw)) + 10
    queries = 4 * (centres[labels] + torch.randn(150, width, generator=draw)) + 10
    theirs = SVC(gamma="auto").fit(features.double(), labels)
    expected = theirs.predict(queries.double())
    np.testing.assert_array_equal(RBFMachine(features, labels).predict(queries), expected)
    assert 0.3 < (expected == labels.numpy()).mean() < 1
