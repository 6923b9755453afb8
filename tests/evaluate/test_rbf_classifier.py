"""The classifier must be scikit-learn's SVC on standardised features, however it is computed."""

import numpy as np
import pytest
import torch
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from pcclust.evaluate import rbf_classifier
from pcclust.evaluate.rbf_classifier import RBFClassifier


@pytest.mark.parametrize("kept", [1000, 10])
@pytest.mark.parametrize(("width", "classes"), [(1, 2), (16, 5)])
def test_the_answers_are_those_of_svc(kept, width, classes, monkeypatch):
    monkeypatch.setattr(rbf_classifier, "KEPT_SHAPES", kept)
    monkeypatch.setattr(rbf_classifier, "QUERIES", 70)
    draw = torch.Generator().manual_seed(width)
    labels = torch.arange(150) % classes + 3
    centres = torch.randn(classes + 3, width, generator=draw)
    features = 4 * (centres[labels] + torch.randn(150, width, generator=draw)) + 10
    queries = 4 * (centres[labels] + torch.randn(150, width, generator=draw)) + 10
    theirs = make_pipeline(StandardScaler(), SVC(gamma="auto")).fit(features.double(), labels)
    expected = theirs.predict(queries.double())
    np.testing.assert_array_equal(RBFClassifier(features, labels).predict(queries), expected)
    assert 0.3 < (expected == labels.numpy()).mean() < 1


def test_units_and_constant_columns_change_nothing():
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(90) % 3
    features = torch.randn(90, 4, generator=draw) + 2 * labels[:, None]
    expected = RBFClassifier(features, labels).predict(features)
    changed = features * torch.tensor([1.0, 1000.0, 0.01, 1.0]) + 50
    np.testing.assert_array_equal(RBFClassifier(changed, labels).predict(changed), expected)
    flat = torch.cat([features, torch.ones(90, 1)], dim=1)
    assert (RBFClassifier(flat, labels).predict(flat) == labels.numpy()).mean() > 0.8
