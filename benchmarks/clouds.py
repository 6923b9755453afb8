"""The clouds and features that the benchmarks work on, the same in every run."""

import os
from functools import cache
from pathlib import Path

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.suite import scaled

Points = NDArray[np.float64]
PATCHES = 8  # pieces of surface per sampled cloud
NOISE = 0.002  # of a scanner, for a shape of radius 1
CLASSES, INTRINSIC = 40, 32  # groups and intrinsic dimensions of the features


def shapes(batch: int, size: int, scale: float = 1.0) -> Tensor:
    """Returns a batch of object-like clouds in the unit ball.

    They are ModelNet40 test shapes where ``PCCLUST_DATA`` has them and their 1,024 points suffice,
    sampled surfaces otherwise.

    Args:
        batch: the number of clouds.
        size: points per cloud.
        scale: multiplies ``size``.

    Returns:
        ``(batch, points, 3)`` float32.
    """
    points, real = scaled(size, scale), _modelnet()
    if real is not None and points <= real.shape[1]:
        chosen = torch.linspace(0, real.shape[0] - 1, batch).long()
        return real[chosen, :points].contiguous()
    return torch.stack([surfaces(points, seed) for seed in range(batch)])


def source() -> str:
    """Returns where `shapes` of up to 1,024 points come from, in words."""
    return "sampled surfaces" if _modelnet() is None else "ModelNet40 test shapes"


@cache
def _modelnet() -> Tensor | None:
    path = Path(os.environ.get("PCCLUST_DATA", "")) / "modelnet40" / "test.h5"
    if not path.is_file():
        return None
    with h5py.File(path) as file:
        return torch.from_numpy(file["data"][:])


def surfaces(size: int, seed: int = 0) -> Tensor:
    """Returns ``(size, 3)`` noisy points on spheres, tori and rectangles, in random order."""
    generator = np.random.default_rng(seed)
    counts = np.full(PATCHES, size // PATCHES)
    counts[: size % PATCHES] += 1
    makers = (_sphere, _torus, _rectangle)
    parts = [makers[i % 3](int(count), generator) for i, count in enumerate(counts)]
    points = np.concatenate(parts) + generator.normal(0, NOISE, (size, 3))
    generator.shuffle(points)
    return _in_unit_ball(points)


def _sphere(count: int, generator: np.random.Generator) -> Points:
    directions = generator.normal(size=(count, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return generator.uniform(-1, 1, 3) + generator.uniform(0.1, 0.5) * directions


def _torus(count: int, generator: np.random.Generator) -> Points:
    around, across = generator.uniform(0, 2 * np.pi, (2, count))
    tube = generator.uniform(0.05, 0.2)
    ring = 0.4 + tube * np.cos(across)
    flat = np.stack([ring * np.cos(around), ring * np.sin(around), tube * np.sin(across)], axis=1)
    return generator.uniform(-1, 1, 3) + flat @ _rotation(generator)


def _rectangle(count: int, generator: np.random.Generator) -> Points:
    flat = np.zeros((count, 3))
    flat[:, :2] = generator.uniform(-1, 1, (count, 2)) * generator.uniform(0.2, 0.8, 2)
    return generator.uniform(-1, 1, 3) + flat @ _rotation(generator)


def _rotation(generator: np.random.Generator) -> Points:
    return np.linalg.qr(generator.normal(size=(3, 3)))[0]


def _in_unit_ball(points: Points) -> Tensor:
    points -= points.mean(axis=0)
    points /= np.linalg.norm(points, axis=1).max()
    return torch.from_numpy(points.astype(np.float32))


def uniform(size: int, seed: int = 0) -> Tensor:
    """Returns ``(size, 3)`` points uniform in the unit cube."""
    return torch.rand(size, 3, generator=torch.Generator().manual_seed(seed))


def clustered(size: int, seed: int = 0) -> Tensor:
    """Returns ``(size, 3)`` points in 20 Gaussian blobs whose widths span three decades."""
    generator = np.random.default_rng(seed)
    centers = generator.uniform(-1, 1, (20, 3))
    widths = 10 ** generator.uniform(-3.5, -0.5, 20)
    blob = generator.integers(20, size=size)
    points = centers[blob] + widths[blob, None] * generator.normal(size=(size, 3))
    return _in_unit_ball(points)


def features(size: int, dimensions: int, seed: int = 0) -> Tensor:
    """Returns ``(size, dimensions)`` float32 features like those of a trained network.

    They are overlapping groups of few intrinsic dimensions, of unequal sizes, seen through a random
    layer with ReLU: no clustering of them is obviously right, as in the real thing.

    Args:
        size: the number of features.
        dimensions: the length of each.
        seed: of the generator.
    """
    generator = np.random.default_rng(seed)
    centers = 1.5 * generator.normal(size=(CLASSES, INTRINSIC))
    group = generator.choice(CLASSES, size=size, p=generator.dirichlet(np.full(CLASSES, 2.0)))
    latent = centers[group] + generator.normal(size=(size, INTRINSIC))
    layer = generator.normal(size=(INTRINSIC, dimensions)) / np.sqrt(INTRINSIC)
    values = np.maximum(latent @ layer, 0) + 0.1 * generator.normal(size=(size, dimensions))
    return torch.from_numpy(values.astype(np.float32))
