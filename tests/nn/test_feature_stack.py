"""`FeatureStack`: what its parts say, evened out by what `fit` has seen."""

import pytest
import torch
from torch import nn

from pcclust.nn import FeatureStack, PointNet, RRIStatistics
from pcclust.nn.rri_statistics import rri_statistics
from tests.nn.example_clouds import objects


class Moments(nn.Module):
    """Two channels of unlike size and one that is constant."""

    out_channels = 3

    def forward(self, points, *, lengths=None):
        size = points.square().sum(dim=(1, 2))
        return torch.stack([size, 1000 * size.sqrt() + 5, torch.full_like(size, 7)], dim=1)


def test_unfitted_it_is_what_the_parts_say():
    points = objects(5, 60)
    stack = FeatureStack([Moments(), RRIStatistics()])
    assert stack.widths == (3, 300)
    expected = torch.cat([Moments()(points), rri_statistics(points)], dim=1)
    assert torch.equal(stack(points), expected)


def test_fitted_every_part_has_the_same_variance():
    points = objects(40, 60)
    stack = FeatureStack([Moments(), "rri-statistics"])
    stack.fit(stack(points))
    found = stack(points).double()
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(303).double(), atol=1e-5, rtol=0)
    variances = found.var(dim=0, correction=0)
    torch.testing.assert_close(variances[:2], torch.full((2,), 1 / 3).double(), atol=1e-3, rtol=0)
    assert variances[2] == 0
    torch.testing.assert_close(variances[3:].max(), torch.tensor(1 / 300).double())


def test_fitting_again_changes_nothing():
    points = objects(40, 60)
    stack = FeatureStack([Moments(), RRIStatistics()])
    stack.fit(stack(points))
    expected = stack(points)
    stack.fit(expected)
    torch.testing.assert_close(stack(points), expected, atol=1e-3, rtol=1e-3)


def test_parts_are_built_by_name():
    stack = FeatureStack(
        [{"model": "pointnet", "model_kwargs": {"embedding": 16}}, "rri-statistics"]
    )
    assert isinstance(stack.parts[0], PointNet)
    assert stack.out_channels == 16 + 300


@pytest.mark.parametrize(
    ("features", "match"),
    [
        (torch.rand(4, 5), r"must be \(N, 303\) with N >= 2, got \(4, 5\)"),
        (torch.rand(1, 303), "N >= 2"),
        (torch.full((4, 303), torch.nan), "NaN or inf"),
        (torch.cat([torch.rand(4, 3), torch.ones(4, 300)], dim=1), "part 1 are the same"),
    ],
)
def test_fit_refuses(features, match):
    with pytest.raises(ValueError, match=match):
        FeatureStack([Moments(), RRIStatistics()]).fit(features)


def test_it_refuses_no_parts_and_unknown_ones():
    with pytest.raises(ValueError, match="at least one part"):
        FeatureStack([])
    with pytest.raises(ValueError, match="'pointnett' is none of"):
        FeatureStack(["pointnett"])
