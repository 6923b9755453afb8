"""Clouds of a batch as rows of one matrix, the layout in which backbones work."""

from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor

from pcclust.ops._clouds import flatten


class Uniform(NamedTuple):
    """Clouds of one size; of both numbers a compiler may hold either for a variable.

    Attributes:
        clouds: how many.
        rows: of each.
    """

    clouds: int
    rows: int


# The rows of each cloud, where they lie one cloud after the other.
Sizes: TypeAlias = list[int] | Uniform


class Packed(NamedTuple):
    """The points of all clouds without padding.

    Attributes:
        rows: ``(ΣN, 3)`` the points.
        offsets: ``(B + 1,)`` int64, the first row of each cloud and the end of the last.
        sizes: the points of each cloud: `Uniform` in a graph of clouds of one size, which must not
            be bound to a number of clouds; otherwise a list.
    """

    rows: Tensor
    offsets: Tensor
    sizes: Sizes


def pack(points: Tensor, lengths: Tensor | None) -> Packed:
    """Checks a batch of clouds and leaves out its padding.

    Args:
        points: ``(B, N, 3)``.
        lengths: ``(B,)`` the points of each cloud; all N if None.

    Raises:
        TypeError: not a floating tensor, or lengths that are no integers.
        ValueError: wrong shape, NaN or inf, or impossible lengths.
    """
    if isinstance(points, Tensor) and (points.dim() != 3 or points.shape[-1] != 3):
        raise ValueError(f"points must be (B, N, 3), got {tuple(points.shape)}")
    clouds = flatten(points, lengths)
    batch, count = points.shape[:2]
    if lengths is None:
        offsets = torch.arange(batch + 1, device=points.device) * count
        compiled = torch.compiler.is_compiling()
        return Packed(clouds.rows, offsets, Uniform(batch, count) if compiled else [count] * batch)
    inside = torch.arange(count, device=points.device) < clouds.sizes[:, None]
    offsets = torch.cat([clouds.starts.new_zeros(1), clouds.sizes.cumsum(dim=0)])
    return Packed(clouds.rows[inside.flatten()], offsets, clouds.sizes.tolist())


def count_clouds(sizes: Sizes) -> int:
    """Returns how many clouds there are."""
    return sizes.clouds if isinstance(sizes, Uniform) else len(sizes)


def count_rows(sizes: Sizes) -> int:
    """Returns how many rows all clouds have together."""
    return sizes.clouds * sizes.rows if isinstance(sizes, Uniform) else sum(sizes)


def cloud_of_rows(sizes: Sizes, device: torch.device) -> Tensor:
    """Returns the cloud of each row."""
    numbers = torch.arange(count_clouds(sizes), device=device)
    if isinstance(sizes, Uniform):
        return numbers[:, None].expand(sizes).flatten()
    return numbers.repeat_interleave(torch.tensor(sizes, device=device))
