"""Shapes and models whose answers in any orientation follow from one entry of the rotation."""

import torch

STANDING, BALL = 0, 1


def rods_and_balls(count=30, num_points=32, up=2, seed=0):
    """Rods that stand along the up axis, from -1 to 1, and small balls; the classes alternate."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 2
    points = torch.randn(count, num_points, 3, generator=generator)
    points = 0.2 * torch.nn.functional.normalize(points, dim=2)
    points[labels == STANDING] = 0
    points[labels == STANDING, :, up] = torch.linspace(-1, 1, num_points)
    return points, labels


def by_height(clouds, up=2):
    """Takes what is higher than 1 for a standing rod: one turned by R is 2 |R[up, up]| high."""
    height = clouds[..., up].amax(dim=1) - clouds[..., up].amin(dim=1)
    return torch.stack([height - 1, 1 - height], dim=1)


def by_radius(clouds):
    """Takes what is larger than 0.5 for a rod: right in any orientation."""
    radius = clouds.norm(dim=2).amax(dim=1)
    return torch.stack([radius - 0.5, 0.5 - radius], dim=1)
