"""The views of methods, as settings say."""

import pytest
import torch

from pcclust.data.crops import Crop
from pcclust.methods.views import EncoderConfig, views

STILL = {"rotation": "none", "jitter": 0.0, "max_scale": 1.0}


def seen(points, **settings):
    augment = views(EncoderConfig(epochs=1, **(STILL | settings)), None, "shapes")
    return augment(points, torch.Generator().manual_seed(0))


def test_views_are_crops_of_fewer_points():
    points = torch.randn(5, 60, 3, generator=torch.Generator().manual_seed(1))
    assert torch.equal(seen(points), points)
    assert seen(points, crop=0.5).shape == (5, 30, 3)
    assert seen(points, view_points=20).shape == (5, 20, 3)
    found = seen(points, crop=0.5, view_points=20)
    expected = Crop(0.5, num_points=20)(points, torch.Generator().manual_seed(0))
    assert torch.equal(found, expected)


def factors(**settings):
    """By what each axis of each shape was stretched."""
    points = torch.rand(20, 8, 3, generator=torch.Generator().manual_seed(0)) + 0.5
    return (seen(points, **settings) / points).mean(dim=1)


def test_stretches_are_of_each_axis_or_of_all():
    even = factors(max_scale=1.5, stretch=False)
    torch.testing.assert_close(even, even[:, :1].expand(20, 3))
    uneven = factors(max_scale=1.5, stretch=True)
    assert float((uneven[:, 0] - uneven[:, 1]).abs().mean()) > 0.1
    for found in (even, uneven):
        assert 1 / 1.5 - 1e-5 <= float(found.min()) < float(found.max()) <= 1.5 + 1e-5


def test_upright_views_need_to_know_what_is_up():
    with pytest.raises(ValueError, match="shapes does not say which axis points up"):
        factors(rotation="z")
