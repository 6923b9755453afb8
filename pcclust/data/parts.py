"""Parts of shapes by random planes, from which ContrastNet learns.

Zhang and Zhu, "Unsupervised Feature Learning for Point Cloud Understanding by Contrasting and
Clustering Using Graph Convolutional Neural Networks", 3DV 2019; sizes from its official code.
"""

from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from pcclust.data.transforms import check_batch, gather_points

Normals = Literal["isotropic", "cube"]
ROUNDS = 100
CLOUDS_AT_ONCE = 512  # of which the sides are told together, to bound memory


class Parts(NamedTuple):
    """Parts drawn from clouds.

    Attributes:
        points: ``(B, P, M, 3)``, P parts of M points from each cloud.
        ids: ``(B, P)`` int64; part 2m is the positive side of plane m, 2m + 1 the negative.
    """

    points: Tensor
    ids: Tensor


class CutParts(NamedTuple):
    """Parts cut from clouds, each with all of its points.

    Attributes:
        points: ``(B, P, M, 3)``, P parts of each cloud, padded with zeros to the largest of them.
        lengths: ``(B, P)`` int64, the points of each part.
        ids: ``(B, P)`` int64, as of `Parts`.
    """

    points: Tensor
    lengths: Tensor
    ids: Tensor


def random_planes(
    points: Tensor,
    num_planes: int = 1,
    *,
    min_points: int | None = None,
    normals: Normals = "isotropic",
    generator: Generator | None = None,
) -> Tensor:
    """Draws planes through the origin that leave enough points of a cloud on both sides.

    Args:
        points: ``(B, N, 3)``, centred.
        num_planes: how many for each cloud; the official code has 15.
        min_points: the fewest points on a side; a quarter of the cloud if None, as in the official
            code (more than 512 of 2,048).
        normals: "isotropic" is uniform on the sphere; "cube" draws each component from U(-1, 1) as
            the official code does, which favours the diagonals of the cube.
        generator: source of randomness, on the CPU.

    Returns:
        ``(B, num_planes, 3)`` unit normals.

    Raises:
        ValueError: wrong shape or sizes, or a cloud for which no such plane was found.

    Example:
        >>> import torch
        >>> from pcclust.data.parts import cut, random_planes
        >>> points = torch.randn(4, 1024, 3, generator=torch.Generator().manual_seed(0))
        >>> planes = random_planes(points, 15, generator=torch.Generator().manual_seed(0))
        >>> sizes = cut(points, planes).sum(-1)
        >>> planes.shape, bool(((sizes >= 256) & (sizes <= 768)).all())
        (torch.Size([4, 15, 3]), True)
    """
    check_batch(points)
    batch, count = points.shape[:2]
    least = max(count // 4, 1) if min_points is None else min_points
    if num_planes < 1 or not 1 <= least <= count // 2:
        raise ValueError(
            f"num_planes={num_planes} must be positive and min_points={least} between 1 and half "
            f"of the {count} points"
        )
    planes = torch.empty(batch, num_planes, 3, dtype=points.dtype)
    open_ = torch.ones(batch, num_planes, dtype=torch.bool)
    for _ in range(ROUNDS):
        cloud, plane = open_.nonzero(as_tuple=True)
        if not len(cloud):
            return planes.to(points.device)
        drawn = _normals(len(cloud), normals, generator).to(points.dtype)
        planes[cloud, plane] = drawn
        open_[cloud, plane] = ~_leaves_enough(points, cloud, drawn, least)
    unsolved = int(open_.any(dim=1).nonzero()[0])
    raise ValueError(
        f"cloud {unsolved}: no plane with at least {least} of its {count} points "
        f"on both sides in {ROUNDS} tries; centre it, or give a smaller min_points"
    )


def cut(points: Tensor, planes: Tensor) -> Tensor:
    """Tells the side of each point.

    Args:
        points: ``(B, N, 3)``.
        planes: ``(B, P, 3)`` normals of planes through the origin.

    Returns:
        ``(B, P, N)`` bool, true on the side that the normal points to; points on the plane are on
        the other.
    """
    check_batch(points)
    return torch.bmm(planes.to(points), points.mT) > 0


def halves(
    points: Tensor,
    planes: Tensor,
    num_points: int = 512,
    *,
    replacement: bool = True,
    generator: Generator | None = None,
) -> Tensor:
    """Cuts each cloud in two complementary parts of a fixed size.

    Args:
        points: ``(B, N, 3)``.
        planes: ``(B, 3)`` one normal for each cloud, for instance ``random_planes(points)[:, 0]``.
        num_points: the points of a part, drawn from its side of the plane.
        replacement: whether a point may be drawn more than once, as in the official code; without
            it a side must have ``num_points`` points.
        generator: source of randomness, on the CPU.

    Returns:
        ``(B, 2, num_points, 3)``, the side that the normal points to first.

    Raises:
        ValueError: wrong shape, or a side with too few points.
    """
    positive = cut(points, planes[:, None])
    sides = torch.cat([positive, ~positive], dim=1)
    return _draw(points, sides, num_points, replacement, generator)


def draw_parts(
    points: Tensor,
    planes: Tensor,
    parts: int = 2,
    num_points: int = 512,
    *,
    replacement: bool = True,
    generator: Generator | None = None,
) -> Parts:
    """Draws parts of each cloud, each from a side of a plane of its own choice.

    The choices are independent: parts may coincide, overlap or be complementary, as in the
    official code.

    Args:
        points: ``(B, N, 3)``.
        planes: ``(B, P, 3)`` the planes of each cloud, see `random_planes`.
        parts: how many parts of each cloud.
        num_points: the points of a part, drawn from its side.
        replacement: whether a point may be drawn more than once, as in the official code.
        generator: source of randomness, on the CPU.

    Raises:
        ValueError: wrong shape, or a side with too few points.

    Example:
        >>> import torch
        >>> from pcclust.data.parts import draw_parts, random_planes
        >>> generator = torch.Generator().manual_seed(0)
        >>> points = torch.randn(4, 1024, 3, generator=generator)
        >>> planes = random_planes(points, 15, generator=generator)
        >>> draw_parts(points, planes, generator=generator).points.shape
        torch.Size([4, 2, 512, 3])
    """
    sides, ids = _choose_sides(points, planes, parts, generator)
    return Parts(_draw(points, sides, num_points, replacement, generator), ids)


def cut_parts(
    points: Tensor, planes: Tensor, parts: int = 2, *, generator: Generator | None = None
) -> CutParts:
    """Cuts parts of each cloud, each the whole side of a plane of its own choice.

    Unlike those of `draw_parts` they differ in size, and are as densely sampled as the cloud: what
    is learned from neighbourhoods of parts holds for whole shapes. The choices are independent.

    Args:
        points: ``(B, N, 3)``.
        planes: ``(B, P, 3)`` the planes of each cloud, see `random_planes`.
        parts: how many parts of each cloud.
        generator: source of randomness, on the CPU.

    Example:
        >>> import torch
        >>> from pcclust.data.parts import cut_parts, random_planes
        >>> generator = torch.Generator().manual_seed(0)
        >>> points = torch.randn(4, 1024, 3, generator=generator)
        >>> cut = cut_parts(points, random_planes(points, 15, generator=generator))
        >>> cut.points.shape[2] == cut.lengths.max(), bool((cut.lengths >= 256).all())
        (tensor(True), True)
    """
    sides, ids = _choose_sides(points, planes, parts, generator)
    lengths = sides.sum(dim=2)
    largest = int(lengths.max())
    rows = (~sides).to(torch.uint8).argsort(dim=2, stable=True)[..., :largest]
    padded = gather_points(points, rows.flatten(1)).view(*sides.shape[:2], largest, 3)
    outside = torch.arange(largest, device=points.device) >= lengths[..., None]
    return CutParts(padded.masked_fill_(outside[..., None], 0), lengths, ids)


def _choose_sides(
    points: Tensor, planes: Tensor, parts: int, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    """Returns sides ``(B, parts, N)`` of planes drawn for each part, and the ids of the parts."""
    ids = torch.randint(2 * planes.shape[1], (points.shape[0], parts), generator=generator)
    chosen = planes.gather(1, (ids // 2).to(planes.device)[..., None].expand(-1, -1, 3))
    return cut(points, chosen) ^ (ids % 2 == 1).to(points.device)[..., None], ids


def _normals(count: int, normals: Normals, generator: Generator | None) -> Tensor:
    if normals == "isotropic":
        drawn = torch.randn(count, 3, generator=generator, dtype=torch.float64)
    elif normals == "cube":
        drawn = 2 * torch.rand(count, 3, generator=generator, dtype=torch.float64) - 1
    else:
        raise ValueError(f"normals={normals!r} is neither 'isotropic' nor 'cube'")
    return torch.nn.functional.normalize(drawn, dim=1)


def _leaves_enough(points: Tensor, cloud: Tensor, drawn: Tensor, least: int) -> Tensor:
    """Tells for each drawn plane, ordered by cloud, whether both sides have enough points."""
    positive = []
    for first in range(0, points.shape[0], CLOUDS_AT_ONCE):
        bounds = torch.tensor([first, first + CLOUDS_AT_ONCE])
        low, high = torch.searchsorted(cloud, bounds).tolist()
        if low < high:
            some = points[first : first + CLOUDS_AT_ONCE]
            positive.append(_count_positive(some, cloud[low:high] - first, drawn[low:high]))
    count = torch.cat(positive)
    return (count >= least) & (points.shape[1] - count >= least)


def _count_positive(points: Tensor, cloud: Tensor, drawn: Tensor) -> Tensor:
    """Counts the points on the positive side of each plane, padding clouds to equally many."""
    slot = torch.arange(len(cloud)) - torch.searchsorted(cloud, cloud)
    padded = points.new_zeros(points.shape[0], int(slot.max()) + 1, 3)
    padded[cloud, slot] = drawn.to(points)
    return cut(points, padded).sum(dim=2)[cloud, slot].cpu()


def _draw(
    points: Tensor, sides: Tensor, num_points: int, replacement: bool, generator: Generator | None
) -> Tensor:
    """Draws ``num_points`` of the points on each side; sides are ``(B, P, N)`` bool."""
    if num_points < 1:
        raise ValueError(f"num_points={num_points} must be at least 1")
    batch, parts, count = sides.shape
    sizes = sides.sum(dim=2)
    needed = 1 if replacement else num_points
    if bool((sizes < needed).any()):
        cloud, part = (int(i) for i in (sizes < needed).nonzero()[0])
        raise ValueError(
            f"part {part} of cloud {cloud} has {int(sizes[cloud, part])} points, "
            f"at least {needed} are needed"
        )
    if replacement:
        drawn = torch.rand(batch, parts, num_points, generator=generator, dtype=torch.float64)
        nth = (drawn.to(points.device) * sizes[..., None]).long()
        # The members of all sides, one side after the other.
        members = sides.flatten().nonzero().flatten()
        before = sizes.flatten().cumsum(0).view(batch, parts, 1) - sizes[..., None]
        rows = members[before + nth] % count
    else:
        keys = torch.rand(batch, parts, count, generator=generator).to(points.device)
        rows = keys.masked_fill_(~sides, 2.0).argsort(dim=2)[..., :num_points]
    return gather_points(points, rows.flatten(1)).view(batch, parts, num_points, 3)
