import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from pcclust.evaluate import linear_probe
from pcclust.evaluate.linear_probe import STRENGTHS, LinearProbe


def noisy(count=120, classes=3, seed=0):
    draw = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    centres = draw.normal(size=(classes, 8)) * 0.9
    return (centres[labels] + draw.normal(size=(count, 8))) * [1e3, *[1] * 7], labels


def test_the_chosen_strength_is_the_best_of_the_folds():
    features, labels = noisy()
    scaled = StandardScaler().fit_transform(features)
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    scores = [
        cross_val_score(
            LinearSVC(C=C, dual="auto", random_state=0), scaled, labels, cv=folds
        ).mean()
        for C in STRENGTHS
    ]
    probe = LinearProbe(features, labels)
    best = STRENGTHS[int(np.argmax(scores))]
    assert best == probe.C
    whole = make_pipeline(StandardScaler(), LinearSVC(C=probe.C, dual="auto", random_state=0))
    np.testing.assert_array_equal(
        probe.predict(features), whole.fit(features, labels).predict(features)
    )


def test_features_are_standardised_so_that_their_units_do_not_matter():
    features, labels = noisy()
    scale = np.logspace(-4, 4, 8)
    plain = LinearProbe(features, labels, C=0.1).predict(features)
    scaled = LinearProbe(features * scale + 7, labels, C=0.1).predict(features * scale + 7)
    assert (plain == scaled).mean() > 0.98


def test_many_shapes_choose_the_strength_by_some_of_them(monkeypatch):
    monkeypatch.setattr(linear_probe, "CHOOSING_SHAPES", 60)
    features, labels = noisy()
    assert LinearProbe(features, labels).C in [C / 2 for C in STRENGTHS]


def test_a_class_of_one_shape_takes_no_part_in_the_choice():
    features, labels = noisy(31, classes=3)
    labels[labels == 2] = 0
    labels[0] = 2
    probe = LinearProbe(features, labels)
    assert set(probe.predict(features)) <= {0, 1, 2}
    with pytest.raises(ValueError, match="fewer than two classes have two"):
        LinearProbe(features[:3], np.array([0, 0, 1]))
