"""The views of methods, as settings say."""

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
