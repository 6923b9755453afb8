"""Crops: views of a part of each cloud, for objectives that compare views."""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from pcclust.data.transforms import check_batch, gather_points, uniform


@dataclass(frozen=True)
class Crop:
    """Keeps the points on one side of a random plane, or all but those around one of them.

    One or the other by chance, for each cloud; then ``num_points`` of the points that are left are
    drawn, none twice, in random order.

    Attributes:
        low: the least fraction of a cloud's points that is left.
        high: the largest fraction.
        num_points: how many are drawn; the fraction ``low`` of the cloud if None.

    Raises:
        ValueError: fractions that are not 0 < low <= high <= 1; or, when it is applied, more points
            than may be left.

    Source: our choice; cropped views as Caron et al., "Emerging Properties in Self-Supervised
    Vision Transformers" (2021), have them of images.

    Example:
        >>> import torch
        >>> from pcclust.data.crops import Crop
        >>> Crop(0.6, num_points=512)(torch.rand(8, 1024, 3)).shape
        torch.Size([8, 512, 3])
    """

    low: float = 0.6
    high: float = 1.0
    num_points: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.low <= self.high <= 1:
            raise ValueError(
                f"fractions low={self.low} and high={self.high} must be 0 < low <= high <= 1"
            )

    def __call__(self, points: Tensor, generator: Generator | None = None) -> Tensor:
        """Returns the drawn points ``(B, num_points, 3)``."""
        check_batch(points)
        count = points.shape[1]
        least = max(int(self.low * count), 1)
        drawn = least if self.num_points is None else self.num_points
        if not 0 < drawn <= least:
            raise ValueError(
                f"num_points={drawn} must be from 1 to the {least} points that are left of {count} "
                f"where low={self.low}"
            )
        fraction = uniform(points, (1,), self.low, self.high, generator)
        places = _order_of_leaving(points, generator).argsort(dim=1)
        left = places < (fraction * count).long().clamp(min=least)
        chance = uniform(points, (count,), 0, 1, generator)
        chosen = torch.where(left, chance, 2).argsort(dim=1)[:, :drawn]
        return gather_points(points, chosen)


def _order_of_leaving(points: Tensor, generator: Generator | None) -> Tensor:
    """Returns ``(B, N)`` the points of each cloud in the order in which they stay the longest."""
    batch, count = points.shape[:2]
    normals = torch.randn(batch, 1, 3, generator=generator, dtype=points.dtype).to(points.device)
    along = (points * F.normalize(normals, dim=2)).sum(dim=2)
    centres = torch.randint(count, (batch, 1), generator=generator).to(points.device)
    near = -(points - gather_points(points, centres)).square().sum(dim=2)
    ball = uniform(points, (1,), 0, 1, generator) < 0.5
    return torch.where(ball, near, along).argsort(dim=1)
