"""The pairs of parts that ContrastNet learns from."""

from typing import NamedTuple

import torch
from torch import Tensor


class Pairs(NamedTuple):
    """Pairs of parts, as positions among the ``B · P`` parts of B clouds.

    Attributes:
        left: ``(Q,)`` int64.
        right: ``(Q,)`` int64.
        same: ``(Q,)`` int64, 1 where both parts come from one cloud.
    """

    left: Tensor
    right: Tensor
    same: Tensor


def part_pairs(clouds: int, parts: int = 2, *, group: int = 2) -> Pairs:
    """Pairs the parts of clouds that follow each other: all pairs among the parts of a group.

    With groups of two clouds and two parts of each these are six pairs, two of them of one cloud,
    as in the official code. Cut each part once, encode it once, and use it in all its pairs.

    Args:
        clouds: how many; a multiple of ``group``, and shuffled beforehand.
        parts: how many parts of each cloud, which follow each other.
        group: the clouds of a group; at least two.

    Raises:
        ValueError: clouds that do not make whole groups, or no parts.

    Example:
        >>> from pcclust.data.part_pairs import part_pairs
        >>> pairs = part_pairs(2)
        >>> list(zip(pairs.left.tolist(), pairs.right.tolist(), pairs.same.tolist()))
        [(0, 1, 1), (0, 2, 0), (0, 3, 0), (1, 2, 0), (1, 3, 0), (2, 3, 1)]
    """
    if group < 2 or parts < 1 or clouds < group or clouds % group:
        raise ValueError(
            f"pairs need parts and whole groups of at least 2 clouds, got {clouds} clouds in "
            f"groups of {group} with {parts} parts each"
        )
    first, second = torch.triu_indices(group * parts, group * parts, offset=1)
    starts = torch.arange(0, clouds * parts, group * parts)[:, None]
    same = (first // parts == second // parts).long().expand(clouds // group, -1)
    return Pairs((starts + first).flatten(), (starts + second).flatten(), same.flatten())
