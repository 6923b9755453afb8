import pytest
import torch
from torch import nn

from pcclust.data import PointDataset
from pcclust.methods.unlabelled import describe_shapes, described_channels
from pcclust.nn.rri_statistics import rri_statistics


class Encoder(nn.Module):
    """Mean and largest coordinates, a constant, and a number that is huge and hardly varies."""

    out_channels = 8

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, points):
        constant = torch.full((len(points), 1), 0.1)
        huge = 1000 + points[:, :1, 0]
        return torch.cat([points.mean(1), points.amax(1), constant, huge], dim=1) * self.weight


def told(shapes, statistics, encoder):
    calls = []
    found = describe_shapes(
        encoder, shapes, statistics=statistics, progress=lambda *call: calls.append(call)
    )
    return found, calls


def cloud(count=70, seed=0):
    return torch.randn(count, 30, 3, generator=torch.Generator().manual_seed(seed))


def test_features_and_statistics_have_an_equal_say():
    points, encoder = cloud(), Encoder()
    found, calls = told(PointDataset(points), True, encoder)
    assert found.shape == (70, described_channels(encoder, True)) == (70, 308)
    assert found.dtype == torch.float32
    variance = found.double().var(dim=0, correction=0)
    assert variance[6] == 0
    torch.testing.assert_close(variance[:6], torch.full((6,), 1 / 8, dtype=torch.float64))
    assert variance[7] == pytest.approx(1 / 8, rel=1e-3)
    torch.testing.assert_close(variance[8:], torch.full((300,), 1 / 300, dtype=torch.float64))
    statistics = rri_statistics(points)
    expected = (statistics - statistics.mean(0)) / statistics.std(0, correction=0) / 300**0.5
    torch.testing.assert_close(found[:, 8:], expected, atol=1e-5, rtol=1e-4)
    assert calls == [
        ("features", 24, 70),
        ("features", 47, 70),
        ("features", 70, 70),
        ("statistics of RRI", 24, 70),
        ("statistics of RRI", 47, 70),
        ("statistics of RRI", 70, 70),
    ]


def test_without_statistics_features_are_as_they_are():
    points, encoder = cloud(), Encoder()
    found, _ = told(PointDataset(points), False, encoder)
    assert torch.equal(found, encoder(points).detach())
    assert found.shape[1] == described_channels(encoder, False)


def test_statistics_do_not_hide_an_encoder_that_collapsed():
    encoder = Encoder()
    nn.init.zeros_(encoder.weight)
    with pytest.raises(ValueError, match="features of all 70 items are equal: the encoder has"):
        told(PointDataset(cloud()), True, encoder)
