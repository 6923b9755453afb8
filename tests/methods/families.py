"""Three families of shapes that a clustering method must tell apart, in any orientation."""

import torch

from pcclust.data import PointDataset
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.data.transforms import RotateSO3, UnitSphere

NAMES = ("box", "plate", "sphere")
POINTS = 128


def families(count=120, num_points=POINTS, seed=0):
    """Turned boxes, plates and spheres, in turn, of slightly different proportions.

    Returns:
        Points ``(N, P, 3)`` in the unit sphere, and the family of each.
    """
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    cubes = 2 * torch.rand(count, num_points, 3, generator=generator) - 1
    normals = torch.randn(count, num_points, 3, generator=generator)
    balls = normals / normals.norm(dim=2, keepdim=True)
    sides = torch.tensor([[1.0, 0.6, 0.4], [1.0, 0.9, 0.05], [1.0, 1.0, 1.0]])[labels]
    sides = sides * (0.9 + 0.2 * torch.rand(count, 3, generator=generator))
    points = torch.where((labels == 2)[:, None, None], balls, cubes) * sides[:, None]
    return UnitSphere()(RotateSO3()(points, generator)), labels


def family_set(count=120, **settings):
    """Returns the shapes as methods get them, without their labels, and the labels."""
    points, labels = families(count, **settings)
    return PointDataset(points), labels


def write_families(path, count=120, **settings):
    """Writes the shapes with their labels, as a user's file."""
    points, labels = families(count, **settings)
    names = [f"{NAMES[label]}{i}" for i, label in enumerate(labels.tolist())]
    write_hdf5(
        path, [points.numpy()], count=count, num_points=points.shape[1], names=names,
        labels=labels.numpy(), class_names=list(NAMES), up_axis=None,
    )  # fmt: skip
    return path
