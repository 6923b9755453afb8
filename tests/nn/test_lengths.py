"""A user's backbone need not take lengths: it is given them where clouds are padded, not else."""

import pytest
import torch
from torch import nn

from pcclust.nn import CanonicalPose, Classifier, FeatureStack
from pcclust.nn._lengths import takes_lengths
from pcclust.nn.pair_classifier import PairClassifier
from tests.nn.example_clouds import objects


class Mean(nn.Module):
    out_channels = 3

    def forward(self, points):
        return points.square().mean(dim=1)


class Padded(nn.Module):
    out_channels = 3

    def forward(self, points, *, lengths=None):
        return points.mean(dim=1) if lengths is None else points.sum(dim=1) / lengths[:, None]


@pytest.mark.parametrize("wrap", [lambda b: Classifier(b, 4), FeatureStack, CanonicalPose])
def test_it_is_not_given_what_it_does_not_take(wrap):
    model = wrap([Mean()]) if wrap is FeatureStack else wrap(Mean())
    assert len(model.eval()(objects(3, 40))) == 3


def test_pairs_of_equal_parts_need_none():
    model = PairClassifier(Mean()).eval()
    left, right = torch.tensor([0, 1]), torch.tensor([2, 0])
    assert model(objects(3, 40), left, right).shape == (2, 2)


def test_lengths_are_passed_on_where_clouds_are_padded():
    model, points = FeatureStack([Padded()]), objects(3, 40)
    found = model(points, lengths=torch.tensor([20, 20, 20]))
    torch.testing.assert_close(found, 2 * model(points))


def test_who_takes_lengths_is_known():
    assert takes_lengths(Padded())
    assert takes_lengths(CanonicalPose(Mean()))
    assert not takes_lengths(Mean())
