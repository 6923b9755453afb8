"""Rows that are pooled together."""

from typing import NamedTuple

import torch
from torch import Tensor


class Segments(NamedTuple):
    """Which rows are pooled together.

    Attributes:
        members: ``(M,)`` int64, the rows in an order in which segments are runs; None where they
            lie so.
        starts: ``(S,)`` int64, where each segment begins, one behind the other.
        sizes: ``(S,)`` int64, its rows.
    """

    members: Tensor | None
    starts: Tensor
    sizes: Tensor


def segment_rows(starts: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the rows of all segments, one segment after the other, and the segment of each."""
    owners = torch.arange(len(sizes), device=sizes.device).repeat_interleave(sizes)
    before = sizes.cumsum(dim=0) - sizes
    numbers = torch.arange(len(owners), device=sizes.device)
    return numbers + (starts - before)[owners], owners
