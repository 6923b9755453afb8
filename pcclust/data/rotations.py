"""Random rotations."""

import math
from typing import Literal

import torch
from torch import Tensor

Sampler = Literal["haar", "axis_angle", "euler"]


def random_rotations(
    count: int,
    *,
    sampler: Sampler = "haar",
    generator: torch.Generator | None = None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Draws random rotation matrices.

    Args:
        count: how many.
        sampler: ``"haar"`` is uniform over all rotations (normalised Gaussian quaternions; mean
            angle 126.5°, density of the angle w (1 - cos w) / π on [0, π]). ``"axis_angle"`` has a
            uniform axis and a uniform angle in [0, 2π), as in ClusterNet; it is not uniform over
            rotations and favours small ones (mean angle 90°). ``"euler"`` turns by three
            independent uniform angles about z, then y, then x, as in RIConv; it favours the poles.
        generator: source of randomness, on the CPU; same seed, same bits.
        dtype: of the result; rotations are drawn in float64 and rounded once.

    Returns:
        ``(count, 3, 3)`` matrices R of determinant +1; row vectors are turned by
        ``points @ R.transpose(-1, -2)``.

    Raises:
        ValueError: negative count or unknown sampler.

    Example:
        >>> import torch
        >>> from pcclust.data.rotations import random_rotations
        >>> R = random_rotations(5, generator=torch.Generator().manual_seed(0))
        >>> R.shape, torch.allclose(R @ R.mT, torch.eye(3), atol=1e-6)
        (torch.Size([5, 3, 3]), True)
    """
    if count < 0:
        raise ValueError(f"count={count} must be at least 0")
    if sampler == "haar":
        rotations = _from_quaternions(_directions(count, 4, generator))
    elif sampler == "axis_angle":
        half = _angles(count, 1, generator) / 2
        axes = _directions(count, 3, generator)
        rotations = _from_quaternions(torch.cat([half.cos(), half.sin() * axes], dim=-1))
    elif sampler == "euler":
        rotations = _from_euler(_angles(count, 3, generator))
    else:
        raise ValueError(f"sampler={sampler!r} is none of 'haar', 'axis_angle', 'euler'")
    return rotations.to(dtype)


def _directions(count: int, dimensions: int, generator: torch.Generator | None) -> Tensor:
    normal = torch.randn(count, dimensions, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(normal, dim=-1)


def _angles(count: int, axes: int, generator: torch.Generator | None) -> Tensor:
    return torch.rand(count, axes, generator=generator, dtype=torch.float64) * 2 * math.pi


def _from_quaternions(quaternions: Tensor) -> Tensor:
    """Returns the rotations of unit quaternions (w, x, y, z)."""
    w, x, y, z = quaternions.unbind(-1)
    rows = [
        *(1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        *(2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        *(2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    ]
    return torch.stack(rows, dim=-1).view(-1, 3, 3)


def _from_euler(angles: Tensor) -> Tensor:
    """Returns Rx Ry Rz of angles about x, y and z."""
    about = []
    for axis in range(3):
        half = angles[:, axis] / 2
        quaternion = angles.new_zeros(angles.shape[0], 4)
        quaternion[:, 0], quaternion[:, axis + 1] = half.cos(), half.sin()
        about.append(_from_quaternions(quaternion))
    return about[0] @ about[1] @ about[2]
