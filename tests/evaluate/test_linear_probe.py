"""The probe must be scikit-learn's LinearSVC, with the C that its cross-validation finds."""

import numpy as np
import pytest
import torch
from sklearn.svm import LinearSVC

from pcclust.data.splits import stratified
from pcclust.evaluate import linear_probe
from pcclust.evaluate.linear_probe import C_GRID, LinearProbe


def noisy(count=120, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, 8, generator=draw, dtype=torch.float64)
    noise = torch.randn(count, 8, generator=draw, dtype=torch.float64)
    return (0.9 * centres[labels] + noise) * torch.logspace(-3, 4, 8), labels


def standardised(features):
    return ((features - features.mean(dim=0)) / features.std(dim=0, correction=0)).numpy()


@pytest.mark.parametrize("C", C_GRID)
@pytest.mark.parametrize("classes", [2, 3, 7])
def test_the_weights_are_those_of_linear_svc(C, classes):
    features, labels = noisy(classes=classes)
    probe = LinearProbe(features, labels, C=C)
    theirs = LinearSVC(C=C, dual=False, tol=1e-9, max_iter=100_000)
    theirs.fit(standardised(features), labels)
    expected = np.concatenate([theirs.coef_, theirs.intercept_[:, None]], axis=1)
    ours = probe._weights.T[-len(expected) :]  # of two classes theirs has the second alone
    np.testing.assert_allclose(ours, expected, atol=2e-4, rtol=1e-4)
    again = theirs.predict(standardised(features))
    assert (probe.predict(features) == again).mean() > 0.99


def test_units_of_features_and_constant_ones_do_not_matter():
    features, labels = noisy()
    plain = LinearProbe(features, labels, C=0.1).predict(features)
    other = torch.cat([features * torch.logspace(4, -4, 8) + 7, torch.ones(120, 1)], dim=1)
    assert (plain == LinearProbe(other, labels, C=0.1).predict(other)).mean() > 0.99


def test_the_chosen_strength_is_the_best_over_the_folds():
    # One feature tells the class, but is small next to many of noise: a small C learns from all.
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(200) % 2
    noise = torch.randn(200, 150, generator=draw)
    weak = LinearProbe(torch.cat([noise, labels[:, None] + 0.8 * noise[:, :1]], dim=1), labels)
    clear = LinearProbe(torch.stack([labels, labels]).T.float(), labels)
    assert min(C_GRID) == clear.C
    fresh = torch.randn(2000, 150, generator=draw)
    truth = torch.arange(2000) % 2
    test = torch.cat([fresh, truth[:, None] + 0.8 * fresh[:, :1]], dim=1)
    scores = []
    for C in C_GRID:
        train = torch.cat([noise, labels[:, None] + 0.8 * noise[:, :1]], dim=1)
        probe = LinearProbe(train, labels, C=C)
        scores.append(float((torch.from_numpy(probe.predict(test)) == truth).double().mean()))
    assert scores[C_GRID.index(weak.C)] > max(scores) - 0.03
    assert max(scores) - min(scores) > 0.05  # so the choice matters


def test_many_shapes_choose_the_strength_by_some_of_them(monkeypatch):
    draw = torch.Generator().manual_seed(2)
    labels = torch.arange(600) % 2
    features = torch.randn(600, 40, generator=draw) + 0.15 * labels[:, None]
    by_all = LinearProbe(features, labels, standardize=False).C
    monkeypatch.setattr(linear_probe, "CHOOSING_SHAPES", 60)
    some = stratified(labels, 60, 0)
    by_some = LinearProbe(features[some], labels[some], standardize=False).C
    assert LinearProbe(features, labels, standardize=False).C == by_some != by_all


def test_same_seed_same_probe_and_rare_classes_are_legal():
    features, labels = noisy(31)
    labels[labels == 2] = 0
    labels[0] = 9
    one, other = (LinearProbe(features, labels, seed=4) for _ in range(2))
    assert one.C == other.C
    assert torch.equal(one._weights, other._weights)
    assert set(one.predict(features)) <= {0, 1, 9}


def test_too_few_shapes_are_refused():
    with pytest.raises(ValueError, match=r"at least two shapes .* 1 features and 1 labels"):
        LinearProbe(torch.ones(1, 3), torch.zeros(1))
    with pytest.raises(ValueError, match="2 features and 3 labels"):
        LinearProbe(torch.ones(2, 3), torch.zeros(3))


@pytest.mark.parametrize("C", C_GRID)
def test_features_as_they_are_are_not_scaled(C):
    features, labels = noisy()
    features = features / torch.logspace(-3, 4, 8) * torch.linspace(0.3, 3, 8) + 0.5
    theirs = LinearSVC(C=C, dual=False, tol=1e-9, max_iter=100_000).fit(features, labels)
    expected = np.concatenate([theirs.coef_, theirs.intercept_[:, None]], axis=1)
    ours = LinearProbe(features, labels, C=C, standardize=False)._weights.T
    np.testing.assert_allclose(ours, expected, atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("C", [1e-3, 1e-1, 1e1])
@pytest.mark.parametrize("repeated", [False, True])
def test_fewer_shapes_than_features(C, dtype, repeated):
    draw = torch.Generator().manual_seed(1)
    features = torch.randn(30, 60, generator=draw).to(dtype) * torch.logspace(0, -3, 60)
    labels = torch.arange(30) % 3
    if repeated:  # so that there are fewer axes than shapes
        features = torch.cat([features, features])
        labels = torch.cat([labels, labels])
        features = torch.cat([features, features[:, :1].expand(-1, 40)], dim=1)
    probe = LinearProbe(features, labels, C=C, standardize=False)
    theirs = LinearSVC(C=C, dual=True, tol=1e-9, max_iter=1_000_000).fit(features, labels)
    expected = np.concatenate([theirs.coef_, theirs.intercept_[:, None]], axis=1)
    np.testing.assert_allclose(probe._weights.T, expected, atol=2e-3 * np.abs(expected).max())


def test_weights_to_begin_from_do_not_change_where_it_ends():
    features, labels = noisy()
    scaled = torch.cat([torch.from_numpy(standardised(features)), torch.ones(120, 1)], dim=1)
    classifiers = linear_probe._OneVsRest(scaled, labels, 3)
    cold = classifiers.fit(1.0)
    for start in (classifiers.fit(0.01), 100 * torch.ones_like(cold), cold):
        torch.testing.assert_close(classifiers.fit(1.0, start), cold, atol=2e-4, rtol=0)


def test_the_folds_that_measure_are_not_those_that_train():
    """Labels that hardly follow from the features are learnt by heart the better the larger C."""
    draw = torch.Generator().manual_seed(0)
    features = torch.randn(80, 60, generator=draw, dtype=torch.float64)
    labels = (features[:, 0] + 2 * torch.randn(80, generator=draw) > 0).long()
    probe = LinearProbe(features, labels)
    assert C_GRID[1] >= probe.C
    by_heart = LinearProbe(features, labels, C=C_GRID[-1])
    assert (by_heart.predict(features) == labels.numpy()).all()
