"""Geometry of neighbourhoods as seen from the centre of their cloud, in plain torch.

Vectors are triples of tensors, so that every sum has one order on every backend.
"""

from typing import NamedTuple

import torch
from torch import Tensor

Vector = tuple[Tensor, Tensor, Tensor]

# Sines below this are rounding, not direction: a point nearer to the centre than this fraction of
# the radius of its cloud has no direction, and a neighbour nearer to the point's axis than this
# fraction of its own radius has no azimuth. Beyond it, rounding the coordinates of a cloud
# once moves an azimuth by less than 1e-4 rad in float32 and 1e-9 rad in float64.
DIRECTION_TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-7}


class Neighborhoods(NamedTuple):
    """What the points' neighbours look like from the points.

    Attributes:
        radii: ``(R, 1)`` distance of the points from the centre of their cloud.
        neighbor_radii: ``(R, k)`` the same of their neighbours.
        polar: ``(R, k)`` angles between point and neighbour at the centre, in [0, π].
        axis: unit vectors ``(R, 1)`` from the centre to the point; 0 for points at the centre.
        normals: vectors ``(R, k)``, axis × neighbour: the neighbours' projections on the plane
            orthogonal to the axis, all turned by a quarter; in units of ``2 ** exponents``.
        takes_part: ``(R, k)`` whether a neighbour has an azimuth.
    """

    radii: Tensor
    neighbor_radii: Tensor
    polar: Tensor
    axis: Vector
    normals: Vector
    takes_part: Tensor


def centroids(rows: Tensor, starts: Tensor, sizes: Tensor, cloud: Tensor) -> Tensor:
    """Returns ``(B, 3)`` the means of the clouds, summed in float64 in the order of the rows.

    So they do not depend on the layout, and clouds of equal points have exactly that point.

    Args:
        rows: ``(R, 3)`` points.
        starts: ``(B,)`` the first row of each cloud.
        sizes: ``(B,)`` the points of each cloud.
        cloud: ``(R,)`` the cloud of each row, -1 for padding.
    """
    inside, of = (cloud >= 0)[:, None], cloud.clamp(min=0)
    wide = torch.where(inside, rows, 0).double()
    first = wide[torch.where(sizes > 0, starts, 0)]
    exponents = _exponents(wide.detach(), first.detach(), cloud)[:, None]
    shrunk = times_power_of_two(first, -exponents)
    shifts = torch.where(inside, times_power_of_two(wide, -exponents[of]) - shrunk[of], 0)
    sums = [shifts.new_zeros(starts.shape).index_add(0, of, shifts[:, axis]) for axis in range(3)]
    means = torch.stack(sums, dim=-1) / sizes.clamp(min=1)[:, None]
    return (first + times_power_of_two(means, exponents)).to(rows.dtype)


def neighborhoods(
    rows: Tensor, centers: Tensor, cloud: Tensor, at: Tensor, tolerance: float
) -> Neighborhoods:
    """Measures all neighbourhoods; differentiable, with finite gradients everywhere.

    Args:
        rows: ``(R, 3)`` points.
        centers: ``(B, 3)``.
        cloud: ``(R,)`` the cloud of each row, -1 for padding.
        at: ``(R, k)`` the rows of the neighbours.
        tolerance: the entry of `DIRECTION_TOLERANCE` for the dtype that the points came in.
    """
    inside, of = (cloud >= 0)[:, None], cloud.clamp(min=0)
    exponents = _exponents(rows.detach(), centers.detach(), cloud)[of]
    points = torch.where(inside, times_power_of_two(rows, -exponents[:, None]), 0)
    middles = times_power_of_two(centers[of], -exponents[:, None])
    relative = columns(torch.where(inside, points - middles, 0))
    radii = norm(relative)
    largest = _largest(radii.detach()[:, 0], cloud, centers.shape[0])[of][:, None]
    placed = radii > tolerance * largest
    axis = scaled(relative, torch.where(placed, 1 / torch.where(placed, radii, 1), 0))
    neighbor_radii = radii[:, 0][at]
    # The projection of p_ik is that of p_ik - p_i, whose coordinates cancel without rounding.
    x, y, z = columns(points)
    edges = (x[:, 0][at] - x, y[:, 0][at] - y, z[:, 0][at] - z)
    normals = cross(axis, edges)
    sine, cosine = norm(normals), radii + dot(axis, edges)
    seen = placed & placed[:, 0][at]
    polar = torch.atan2(torch.where(seen, sine, 0), torch.where(seen, cosine, 1))
    takes_part = seen & (sine > tolerance * neighbor_radii)
    # The diagonal of a cloud as wide as its dtype allows would overflow.
    lengths = times_power_of_two(radii, exponents[:, None]).clamp(max=torch.finfo(rows.dtype).max)
    return Neighborhoods(lengths, lengths[:, 0][at], polar, axis, normals, takes_part)


def turn(axis: Vector, start: Vector, end: Vector, defined: Tensor) -> Tensor:
    """Returns the angle about ``axis`` from ``start`` to ``end`` in (-π, π]; 0 where undefined."""
    sine, cosine = dot(axis, cross(start, end)), dot(start, end)
    return torch.atan2(torch.where(defined, sine, 0), torch.where(defined, cosine, 1))


def _exponents(rows: Tensor, centers: Tensor, cloud: Tensor) -> Tensor:
    """Returns ``(B,)`` the powers of two that bring the clouds to size 1, without rounding.

    Squares of coordinates then neither overflow nor vanish.
    """
    # A quarter of either cannot overflow, whatever the two are.
    reach = (rows / 4 - centers[cloud.clamp(min=0)] / 4).abs().amax(dim=-1)
    return torch.frexp(_largest(reach, cloud, centers.shape[0])).exponent + 2


def _largest(values: Tensor, cloud: Tensor, clouds: int) -> Tensor:
    values = torch.where(cloud >= 0, values, 0)
    largest = values.new_zeros(clouds)
    return largest.scatter_reduce(0, cloud.clamp(min=0), values, "amax")


def times_power_of_two(values: Tensor, exponents: Tensor) -> Tensor:
    """Returns ``values * 2 ** exponents``, exactly; in two steps, as the power may overflow."""
    half = torch.div(exponents, 2, rounding_mode="floor")
    rest = exponents - half
    return values * torch.exp2(half.to(values.dtype)) * torch.exp2(rest.to(values.dtype))


def columns(a: Tensor) -> Vector:
    """Returns ``(R, 3)`` as three ``(R, 1)``."""
    return a[:, 0:1], a[:, 1:2], a[:, 2:3]


def taken(a: Vector, at: Tensor) -> Vector:
    """Returns the vectors in the columns ``at`` of each row."""
    return a[0].gather(-1, at), a[1].gather(-1, at), a[2].gather(-1, at)


def dot(a: Vector, b: Vector) -> Tensor:
    """Returns the inner products."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a: Vector, b: Vector) -> Vector:
    """Returns the cross products."""
    return (
        a[1] * b[2] - a[2] * b[1],
        a[2] * b[0] - a[0] * b[2],
        a[0] * b[1] - a[1] * b[0],
    )


def norm(a: Vector) -> Tensor:
    """Returns the lengths; their gradient at 0 is 0."""
    square = dot(a, a)
    positive = square > 0
    return torch.where(positive, torch.where(positive, square, 1).sqrt(), 0)


def scaled(a: Vector, factor: Tensor) -> Vector:
    """Returns the vectors times their factors."""
    return a[0] * factor, a[1] * factor, a[2] * factor
