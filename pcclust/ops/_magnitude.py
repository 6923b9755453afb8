"""Clouds so large or small that squared distances overflow or vanish, brought near 1.

Scaling by a power of two rounds nothing, so that the neighbours of the scaled cloud are those of
the cloud. Squares of ordinary coordinates fit as they are, and nothing is done.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.ops._clouds import ORDINARY, Clouds, cloud_of_rows

# Of points whose coordinates are 0 or at least this, no two differ by so little that the square of
# the difference is not normal: it is the root of the smallest normal number, times 2 ** digits.
FINEST = {torch.float32: 2.0**-39, torch.float64: 2.0**-458}
# Powers of two beyond have no reciprocal.
MOST = {torch.float32: 126, torch.float64: 1022}


class Near(NamedTuple):
    """Clouds and their queries with squares that fit.

    Attributes:
        clouds: the points, those given where they are ordinary.
        asked: the queries likewise.
        factors: ``(B,)`` powers of two by which each cloud was multiplied, or None if none was.
    """

    clouds: Clouds
    asked: Clouds | None
    factors: Tensor | None


def brought_near(clouds: Clouds, asked: Clouds | None = None) -> Near:
    """Scales clouds, and their queries alike, whose squared distances would not fit the dtype.

    Raises:
        ValueError: a cloud spans so many orders of magnitude that no one factor serves.
    """
    if clouds.ordinary and (asked is None or asked.ordinary):
        return Near(clouds, asked, None)
    extents = [_extent(each) for each in (clouds, asked) if each is not None]
    smallest = torch.stack([low for low, _ in extents]).amin(dim=0)
    largest = torch.stack([high for _, high in extents]).amax(dim=0)
    dtype = clouds.rows.dtype
    low, high = ORDINARY[dtype]
    odd = (largest > high) | ((largest > 0) & (largest < low))
    if not bool(odd.any()):
        return Near(clouds, asked, None)
    wanted = torch.frexp(largest.new_tensor(high)).exponent - torch.frexp(largest).exponent
    exponents = torch.where(odd, wanted.clamp(-MOST[dtype], MOST[dtype]), 0)
    factors = torch.exp2(exponents.to(dtype))
    wide = (odd & (smallest * factors < FINEST[dtype])).nonzero().flatten()
    if wide.numel():
        cloud = int(wide[0])
        raise ValueError(
            f"cloud {cloud} has coordinates from {float(smallest[cloud]):.3g} to "
            f"{float(largest[cloud]):.3g}, queries included, whose squared distances do not fit "
            f"{dtype} together; remove the points that lie apart"
            + ("" if dtype == torch.float64 else " or give float64")
        )
    return Near(_times(clouds, factors), _times(asked, factors) if asked else None, factors)


def of_rows(factors: Tensor, clouds: Clouds) -> Tensor:
    """Returns ``(R, 1)`` the factor of each row's cloud; 1 for padding."""
    cloud = cloud_of_rows(clouds)
    return torch.where(cloud >= 0, factors[cloud.clamp(min=0)], 1)[:, None]


def _times(clouds: Clouds, factors: Tensor) -> Clouds:
    return clouds._replace(rows=clouds.rows * of_rows(factors, clouds), ordinary=True)


def _extent(clouds: Clouds) -> tuple[Tensor, Tensor]:
    """Returns ``(B,)`` the smallest size of a coordinate that is not 0, and the largest."""
    cloud = cloud_of_rows(clouds)
    inside = (cloud >= 0)[:, None]
    sizes = torch.where(inside, clouds.rows.detach().abs(), 0)
    small = torch.where(sizes > 0, sizes, torch.inf).amin(dim=1)
    at = cloud.clamp(min=0)
    nothing = sizes.new_zeros(clouds.starts.shape)
    largest = nothing.scatter_reduce(0, at, sizes.amax(dim=1), "amax")
    return (nothing + torch.inf).scatter_reduce(0, at, small, "amin"), largest
