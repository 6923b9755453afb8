"""What columns are standardised by, and everything that standardises them."""

import pytest
import torch

from pcclust.cluster import KernelMap
from pcclust.cluster._inputs import equal_rows, mean_and_deviation
from pcclust.evaluate.graph_features import GraphFeatures
from pcclust.evaluate.linear_probe import LinearProbe
from pcclust.evaluate.rbf_classifier import RBFClassifier
from pcclust.methods.unlabelled import mean_and_scale
from pcclust.nn import FeatureStack


def noisy(sign, dtype=torch.float32, count=40):
    """A column that tells two classes apart, and one that rounding moves with them, or against."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.arange(count) % 2
    told = labels + 0.8 * torch.randn(count, generator=draw, dtype=torch.float64)
    rounded = torch.full((count,), 100.0, dtype=dtype)
    for _ in range(2):
        rounded = torch.nextafter(rounded, rounded + sign * (2 * labels - 1))
    return torch.stack([told.to(dtype), rounded], dim=1), labels


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_column_that_rounding_moves_is_constant(dtype):
    features, _ = noisy(1, dtype)
    mean, deviation = mean_and_deviation(features)
    assert mean.dtype == deviation.dtype == torch.float64
    torch.testing.assert_close(mean, features.double().mean(dim=0))
    torch.testing.assert_close(deviation[0], features[:, 0].double().std(correction=0))
    assert deviation[1] == 0 < features[:, 1].double().std()


def test_small_values_are_no_rounding():
    features = torch.tensor([[1e-30, 5.0], [3e-30, 5.001]])
    _, deviation = mean_and_deviation(features)
    expected = torch.tensor([1e-30, 5e-4], dtype=torch.float64)
    torch.testing.assert_close(deviation, expected, rtol=1e-3, atol=0)
    assert not equal_rows(features)


@pytest.mark.parametrize("classifier", [LinearProbe, RBFClassifier])
def test_classifiers_learn_nothing_from_rounding(classifier):
    (seen, labels), (shown, _) = noisy(1), noisy(-1)
    alone = classifier(seen[:, :1], labels).predict(shown[:, :1])
    both = classifier(seen, labels).predict(shown)
    assert (alone == both).all()
    assert 0.6 < (both == labels.numpy()).mean() < 1


def test_maps_leave_rounding_out():
    seen, _ = noisy(1)
    shown, _ = noisy(-1)
    for learn in (
        lambda x: KernelMap(10, random_state=0).fit(x).transform,
        lambda x: GraphFeatures(x, components=3),
    ):
        found = learn(seen)(shown)
        moved = learn(seen)(torch.stack([shown[:, 0], seen[:, 1]], dim=1))
        torch.testing.assert_close(found, moved, rtol=1e-4, atol=1e-5)


class TwoChannels(torch.nn.Module):
    """A part of a stack, which `fit` does not ask."""

    out_channels = 2


def test_methods_and_stacks_divide_rounding_by_nothing_small():
    seen, _ = noisy(1)
    _, scale = mean_and_scale(seen)
    stack = FeatureStack([TwoChannels()])
    stack.fit(seen)
    assert scale[1] == torch.inf
    assert stack.scale[1] == 1
    torch.testing.assert_close(stack.scale[0].double(), 1 / scale[0], rtol=1e-6, atol=0)
