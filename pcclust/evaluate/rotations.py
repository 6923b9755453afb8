"""The rotations under which a model is tested: fixed for each shape by the seed."""

import math
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from pcclust.data.dataset import UP_AXES, UpAxis
from pcclust.data.rotations import Sampler, random_rotations
from pcclust.data.seeding import seeded_generator
from pcclust.data.splits import stratified
from pcclust.data.transforms import rotation_about

# Every use of the seed has a stream of its own, so that a setting changes one set only.
ABOUT_UP, ARBITRARY, TILTS = range(3)


@dataclass(frozen=True)
class Rotations:
    """How each shape is turned.

    Attributes:
        rounds: how many rotations about the up axis, and how many in space, each shape gets.
        sampler: of the rotations in space: "haar" is uniform over all rotations; "axis_angle" and
            "euler" are the samplers of ClusterNet and RIConv, which are not; see
            `pcclust.data.rotations.random_rotations`.
        tilts: how many angles of tilt, spread evenly from 0° to 180°; 0 for none.
        tilt_shapes: how many shapes are tilted at most, of each class its share.
        seed: of all rotations; the same seed gives every shape the same rotations.

    Raises:
        ValueError: a number that cannot be.

    Example:
        >>> rotations = Rotations(rounds=6, tilts=5)
        >>> rotations.angles.tolist(), rotations.arbitrary(10).shape
        ([0.0, 45.0, 90.0, 135.0, 180.0], torch.Size([6, 10, 3, 3]))
    """

    rounds: int = 5
    sampler: Sampler = "haar"
    tilts: int = 13
    tilt_shapes: int = 500
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rounds < 1:
            raise ValueError(f"rotations={self.rounds} must be at least 1; 5 or more tell much")
        if self.tilts < 0 or self.tilts == 1:
            raise ValueError(f"tilts={self.tilts} must be 0, for none, or at least 2: 0° and 180°")
        if self.tilts and self.tilt_shapes < 1:
            raise ValueError(f"tilt_shapes={self.tilt_shapes} must be at least 1, or tilts 0")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must not be negative")
        random_rotations(0, sampler=self.sampler)

    @property
    def angles(self) -> Tensor:
        """The angles of tilt in degrees, ``(tilts,)`` float64."""
        return torch.linspace(0, 180, self.tilts, dtype=torch.float64)

    def about_up(self, count: int, up_axis: UpAxis) -> Tensor:
        """Returns rotations about the up axis by uniform angles, ``(rotations, count, 3, 3)``."""
        return rotation_about(up_axis, self._angles_about_up(count))

    def arbitrary(self, count: int) -> Tensor:
        """Returns rotations in space, ``(rotations, count, 3, 3)`` float64."""
        drawn = random_rotations(
            self.rounds * count,
            sampler=self.sampler,
            generator=seeded_generator(self.seed, ARBITRARY),
            dtype=torch.float64,
        )
        return drawn.view(self.rounds, count, 3, 3)

    def tilted(self, count: int, up_axis: UpAxis) -> Tensor:
        """Returns rotations by every angle of tilt, ``(tilts, count, 3, 3)`` float64.

        A shape is first turned about the up axis, as in the first round of `about_up`, and then
        tilted about a random horizontal axis, the same at every angle. So those at one angle
        are distributed as Haar's rotations of that tilt are.
        """
        generator = seeded_generator(self.seed, TILTS)
        azimuth = 2 * math.pi * torch.rand(count, generator=generator, dtype=torch.float64)
        horizontal = UP_AXES[(UP_AXES.index(up_axis) + 1) % 3]
        tilt = rotation_about(horizontal, self.angles.deg2rad())[:, None]
        aim = rotation_about(up_axis, azimuth)
        return aim @ tilt @ aim.mT @ rotation_about(up_axis, self._angles_about_up(count)[0])

    def tilt_subset(self, labels: Tensor) -> Tensor:
        """Returns the positions of the shapes that are tilted, sorted."""
        if not self.tilts:
            return torch.arange(0)
        return stratified(labels, self.tilt_shapes, self.seed)

    def cost(self, shapes: int, learned: int = 0) -> int:
        """Returns of how many clouds the model is asked for so many shapes to test.

        Each shape is shown upright once, then in every turn; of the tilts, 0° is the first turn
        about the up axis. Shapes that probes learn from are shown in two orientations.
        """
        tilts = max(self.tilts - 1, 0) * min(self.tilt_shapes, shapes)
        return shapes * (1 + 2 * self.rounds) + tilts + 2 * learned

    def told(self) -> dict[str, int | str]:
        """Returns the settings by name."""
        told = asdict(self)
        return {"rotations": told.pop("rounds"), **told}

    def _angles_about_up(self, count: int) -> Tensor:
        generator = seeded_generator(self.seed, ABOUT_UP)
        size = (self.rounds, count)
        return 2 * math.pi * torch.rand(size, generator=generator, dtype=torch.float64)
