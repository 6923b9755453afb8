"""Gaps between the azimuths of a neighbourhood, and who follows whom around the axis."""

import math

import torch
from torch import Tensor

# Azimuths closer than this are one azimuth, so that symmetric shapes and lattices give the same
# at every angle and on every backend. Rounding the coordinates of a cloud moves its azimuths by the
# ratio of one rounding to the distance from the axis: about 1e-6 rad in float32, 1e-15 in float64.
AZIMUTH_TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-6}


def azimuth_gaps(azimuths: Tensor, takes_part: Tensor, tolerance: float) -> tuple[Tensor, Tensor]:
    """Measures the gap from each azimuth to the next, counter-clockwise.

    Azimuths chained by gaps of at most ``tolerance`` are a group: its members follow each
    other by column with gap 0, and the last has the gap to the next group, measured between the
    first members. So the gaps of a row sum to 2π, and a row of one group has one gap of 2π.

    Args:
        azimuths: ``(R, k)`` in [0, 2π]; columns in the order that breaks ties.
        takes_part: ``(R, k)`` whether a column has an azimuth at all.
        tolerance: the entry of `AZIMUTH_TOLERANCE` for the dtype that the points came in.

    Returns:
        ``(R, k)`` gaps in [0, 2π], and ``(R, k)`` int64 columns of the successors; 0 and -1 for
        columns that take no part.
    """
    groups = _groups(azimuths, takes_part, tolerance)
    order = groups.sort(dim=-1, stable=True)  # by (group, column), those without part at the end
    group, columns = order.values, order.indices
    last = takes_part.sum(dim=-1, keepdim=True) - 1
    place = torch.arange(group.shape[-1], device=group.device).expand_as(group)
    following = torch.where(place < last, place + 1, 0)
    opens = torch.cat([torch.ones_like(takes_part[:, :1]), group[:, 1:] != group[:, :-1]], dim=-1)
    first = torch.where(opens, place, 0).cummax(dim=-1).values
    sorted_azimuths = azimuths.gather(-1, columns)
    gap = sorted_azimuths.gather(-1, following) - sorted_azimuths.gather(-1, first)
    gap = torch.where(gap > 0, gap, gap + 2 * math.pi)
    closes = opens.gather(-1, following)
    gap = torch.where(closes & (place <= last), gap, 0)
    successor = torch.where(place <= last, columns.gather(-1, following), -1)
    return (
        torch.zeros_like(azimuths).scatter(-1, columns, gap),
        torch.zeros_like(columns).scatter(-1, columns, successor),
    )


def _groups(azimuths: Tensor, takes_part: Tensor, tolerance: float) -> Tensor:
    """Numbers the groups of equal azimuths counter-clockwise; k for columns without part."""
    count = azimuths.shape[-1]
    order = torch.where(takes_part, azimuths, torch.inf).sort(dim=-1, stable=True)
    azimuth, columns = order.values, order.indices
    last = takes_part.sum(dim=-1, keepdim=True) - 1
    place = torch.arange(count, device=azimuths.device).expand_as(columns)
    around = azimuth[:, :1] + 2 * math.pi
    after = torch.cat([azimuth[:, 1:], around], dim=-1)
    after = torch.where(place == last, around, after)
    ends = (after - azimuth > tolerance) & (place <= last)
    total = ends.sum(dim=-1, keepdim=True).clamp(min=1)
    # What comes after the last end belongs to the group that begins the row: a circle has no seam.
    group = torch.where(place <= last, (ends.cumsum(dim=-1) - ends.long()) % total, count)
    return torch.empty_like(columns).scatter(-1, columns, group)
