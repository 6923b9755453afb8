"""Transforms of batches of clouds, each with the generator it draws from given by the caller."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Generator, Tensor

from pcclust.data.dataset import UP_AXES, UpAxis
from pcclust.data.rotations import Sampler, random_rotations

# Takes and returns points (B, N, 3); draws one value for each cloud from the generator.
Transform: TypeAlias = Callable[[Tensor, Generator | None], Tensor]


class Compose:
    """Applies transforms one after the other.

    Args:
        transforms: in their order.

    Example:
        >>> import torch
        >>> from pcclust.data.transforms import Compose, Jitter, RotateSO3, Scale
        >>> augment = Compose(RotateSO3(), Jitter(), Scale())
        >>> augment(torch.rand(8, 1024, 3), torch.Generator().manual_seed(0)).shape
        torch.Size([8, 1024, 3])
    """

    def __init__(self, *transforms: Transform) -> None:
        self.transforms = transforms

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the transformed points ``(B, N, 3)``."""
        for transform in self.transforms:
            points = transform(points, generator)
        return points

    def __repr__(self) -> str:
        return f"Compose({', '.join(map(repr, self.transforms))})"


@dataclass(frozen=True)
class Center:
    """Moves the mean of every cloud to the origin."""

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the centred points ``(B, N, 3)``."""
        check_batch(points)
        return points - points.mean(dim=1, keepdim=True)


@dataclass(frozen=True)
class UnitSphere:
    """Moves the mean of every cloud to the origin and its farthest point to radius 1.

    A cloud whose points all coincide stays at the origin.
    """

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the normalised points ``(B, N, 3)``."""
        centered = Center()(points)
        radius = centered.norm(dim=2).amax(dim=1)
        return centered / torch.where(radius > 0, radius, 1).view(-1, 1, 1)


@dataclass(frozen=True)
class RotateUp:
    """Turns every cloud about its up axis by an angle uniform in [0, 2π): the "z" of z/SO3.

    Attributes:
        up_axis: the axis of gravity, which a dataset knows as its ``up_axis``.
    """

    up_axis: UpAxis

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the turned points ``(B, N, 3)``."""
        check_batch(points)
        angles = 2 * math.pi * torch.rand(points.shape[0], generator=generator, dtype=torch.float64)
        return turn(points, rotation_about(self.up_axis, angles))


@dataclass(frozen=True)
class RotateSO3:
    """Turns every cloud by a random rotation.

    Attributes:
        sampler: "haar" is uniform over all rotations; "axis_angle" and "euler" are the samplers
            of ClusterNet and RIConv, which are not; see `pcclust.data.rotations.random_rotations`.
    """

    sampler: Sampler = "haar"

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the turned points ``(B, N, 3)``."""
        check_batch(points)
        rotations = random_rotations(
            len(points), sampler=self.sampler, generator=generator, dtype=torch.float64
        )
        return turn(points, rotations)


@dataclass(frozen=True)
class SmallRotation:
    """Turns every cloud a little about x, then y, then z, by clipped Gaussian angles.

    Attributes:
        sigma: standard deviation of each angle in rad; the default is PointNet++'s and
            ContrastNet's.
        clip: the largest angle in rad.
    """

    sigma: float = 0.06
    clip: float = 0.18

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the turned points ``(B, N, 3)``."""
        check_batch(points)
        angles = torch.randn(points.shape[0], 3, generator=generator, dtype=torch.float64)
        return turn(points, euler_rotation((self.sigma * angles).clamp(-self.clip, self.clip)))


@dataclass(frozen=True)
class Jitter:
    """Moves every point by clipped Gaussian noise.

    Attributes:
        sigma: standard deviation of each coordinate's noise.
        clip: the largest noise of a coordinate; None for no limit.
    """

    sigma: float = 0.01
    clip: float | None = 0.05

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the moved points ``(B, N, 3)``."""
        check_batch(points)
        noise = torch.empty(points.shape, dtype=points.dtype)
        noise.normal_(0, self.sigma, generator=generator)
        if self.clip is not None:
            noise.clamp_(-self.clip, self.clip)
        return noise.to(points.device).add_(points)


@dataclass(frozen=True)
class Scale:
    """Multiplies every cloud by a factor uniform in [low, high).

    Attributes:
        low: the smallest factor.
        high: the largest factor.
        per_axis: whether x, y and z get factors of their own.
    """

    low: float = 0.8
    high: float = 1.25
    per_axis: bool = False

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the scaled points ``(B, N, 3)``."""
        check_batch(points)
        axes = 3 if self.per_axis else 1
        return points * uniform(points, (1, axes), self.low, self.high, generator)


@dataclass(frozen=True)
class Shift:
    """Moves every cloud by a vector uniform in a cube.

    Attributes:
        limit: half the side of the cube.
    """

    limit: float = 0.1

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the moved points ``(B, N, 3)``."""
        check_batch(points)
        return points + uniform(points, (1, 3), -self.limit, self.limit, generator)


@dataclass(frozen=True)
class Dropout:
    """Replaces a random fraction of every cloud's points by its first point, as PointNet++ does.

    Attributes:
        max_fraction: each cloud loses a fraction uniform in [0, max_fraction].
    """

    max_fraction: float = 0.875

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns points ``(B, N, 3)``, as many as before."""
        check_batch(points)
        fraction = uniform(points, (1,), 0, self.max_fraction, generator)
        dropped = uniform(points, (points.shape[1],), 0, 1, generator) < fraction
        return torch.where(dropped[..., None], points[:, :1], points)


@dataclass(frozen=True)
class Resample:
    """Draws points of every cloud at random.

    Attributes:
        num_points: how many.
        replacement: whether a point may be drawn more than once.
    """

    num_points: int
    replacement: bool = False

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the drawn points ``(B, num_points, 3)``."""
        check_batch(points)
        count = points.shape[1]
        if self.replacement:
            size = (points.shape[0], self.num_points)
            drawn = torch.randint(count, size, generator=generator)
        elif self.num_points > count:
            raise ValueError(
                f"num_points={self.num_points} exceeds the {count} points of a cloud; "
                "replacement=True draws points more than once"
            )
        else:
            order = torch.rand(points.shape[:2], generator=generator).argsort(dim=1)
            drawn = order[:, : self.num_points]
        return gather_points(points, drawn.to(points.device))


def turn(points: Tensor, rotations: Tensor) -> Tensor:
    """Turns clouds ``(B, N, 3)`` by rotation matrices ``(B, 3, 3)``: row vectors times Rᵀ."""
    # Half the time of points @ Rᵀ, whose rows of 3 are too short for a matrix product.
    return torch.bmm(rotations.to(points), points.mT).mT.contiguous()


def stand_on_z(points: Tensor, up_axis: UpAxis) -> Tensor:
    """Brings the up axis of clouds ``(B, N, 3)`` to z by a cyclic shift: a turn, no mirroring."""
    return points.roll(UP_AXES.index("z") - UP_AXES.index(up_axis), 2)


def rotation_about(axis: UpAxis, angles: Tensor) -> Tensor:
    """Returns the rotations ``(B, 3, 3)`` about a coordinate axis by angles ``(B,)`` in rad."""
    if axis not in UP_AXES:
        raise ValueError(f"the axis must be 'x', 'y' or 'z', got {axis!r}")
    k = UP_AXES.index(axis)
    i, j = (k + 1) % 3, (k + 2) % 3
    rotations = torch.zeros(*angles.shape, 3, 3, dtype=angles.dtype)
    rotations[..., k, k] = 1
    rotations[..., i, i] = rotations[..., j, j] = angles.cos()
    rotations[..., j, i] = angles.sin()
    rotations[..., i, j] = -angles.sin()
    return rotations


def euler_rotation(angles: Tensor) -> Tensor:
    """Returns Rz Ry Rx ``(B, 3, 3)`` for angles ``(B, 3)`` about x, y and z in rad."""
    about_x, about_y, about_z = (
        rotation_about(axis, angles[..., k]) for k, axis in enumerate(UP_AXES)
    )
    return about_z @ about_y @ about_x


def gather_points(points: Tensor, indices: Tensor) -> Tensor:
    """Returns the points ``(B, M, 3)`` of clouds ``(B, N, 3)`` at ``indices`` ``(B, M)``."""
    batch, count, width = points.shape
    rows = indices + count * torch.arange(batch, device=points.device)[:, None]
    drawn = points.reshape(-1, width).index_select(0, rows.flatten())
    return drawn.view(batch, -1, width)


def uniform(
    points: Tensor, shape: tuple[int, ...], low: float, high: float, generator: Generator | None
) -> Tensor:
    """Draws numbers uniform in [low, high) for each cloud: ``(B, *shape)``."""
    drawn = torch.rand(points.shape[0], *shape, generator=generator, dtype=points.dtype)
    return drawn.mul_(high - low).add_(low).to(points.device)


def check_batch(points: Tensor) -> None:
    """Raises unless points are a batch ``(B, N, 3)`` of floating numbers."""
    if not isinstance(points, Tensor) or not points.is_floating_point():
        kind = points.dtype if isinstance(points, Tensor) else type(points).__name__
        raise TypeError(f"points must be a tensor of floating numbers, got {kind}")
    if points.dim() != 3 or points.shape[2] != 3 or points.shape[1] == 0:
        raise ValueError(
            f"points must be a batch (B, N, 3), got {tuple(points.shape)}; "
            "a single cloud is points[None]"
        )
