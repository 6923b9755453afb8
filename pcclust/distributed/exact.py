"""Sums that are exact, and therefore the same in any order and for any number of processes.

Rows are rounded once to a grid: a power of two for each column, so fine that it says at least 28
bits of the column's largest value, up to 37. Then sums of up to 2¹⁶ rows in float64 are exact, and
so are those of all rows in int64. What rounding to the grid changes is at most half its step, in
every row and so in every mean: 2⁻³⁸ of the column's largest value up to 2²⁵ rows, 2⁻²⁹ for 10¹⁰
(float32 itself rounds that value by 2⁻²⁵). Features in float16 below 8192 lie on it as they are.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

MOST_BITS = 37
EXACT_ROWS = 1 << 16  # 2^37 · 2^16 = 2^53: so many rows float64 adds exactly
# Below, a step would need a factor that float32 does not have; values of that size are zeros.
LEAST_STEP = -120
MANTISSA = 24
LOWEST = -148  # the exponent of the least float32, by frexp
BINS = 128 - LOWEST + 1


class Grid(NamedTuple):
    """The multiples of a power of two, for each column.

    Attributes:
        steps: ``(D,)`` float64, the powers.
        float16_lies_on_it: whether all float16 below 8192 are on it as they are.
    """

    steps: Tensor
    float16_lies_on_it: bool

    @classmethod
    def of(cls, largest: Tensor, count: int) -> "Grid":
        """Returns the finest grid on which sums of so many rows fit int64.

        Args:
            largest: ``(D,)`` absolute values of the columns.
            count: rows.
        """
        bits = min(MOST_BITS, 62 - max(count - 1, 1).bit_length())
        exponents = torch.frexp(largest.double()).exponent - bits
        exponents = exponents.clamp(min=LEAST_STEP)
        ones = torch.ones_like(largest, dtype=torch.float64)
        return cls(torch.ldexp(ones, exponents), int(exponents.max()) <= -24)

    def snap(self, rows: Tensor) -> Tensor:
        """Returns rows ``(n, D)`` of float32, rounded to the grid."""
        steps = self.steps.to(rows.device, rows.dtype)
        return (rows / steps).round_().mul_(steps)

    def in_steps(self, sums: Tensor) -> Tensor:
        """Returns exact sums ``(K, D)`` of float64 in steps, as int64."""
        return (sums / self.steps).to(torch.int64)

    def values(self, steps: Tensor) -> Tensor:
        """Returns counts of steps ``(K, D)`` as float64."""
        return steps.double() * self.steps


def bins_of(values: Tensor) -> Tensor:
    """Adds up float32 values, not negative, exactly: by exponent, as integers.

    Args:
        values: ``(n,)``, fewer than 2²⁹.

    Returns:
        ``(277,)`` int64; those of several parts may be added in any order.

    Example:
        >>> import torch
        >>> from pcclust.distributed.exact import bins_of, total_of
        >>> total_of(bins_of(torch.tensor([1e20, 1.0, 3e-7])))
        1.0000000200408773e+20
    """
    mantissa, exponent = torch.frexp(values)
    whole = torch.ldexp(mantissa.double(), torch.tensor(MANTISSA, device=values.device))
    places = (exponent.long() - LOWEST).clamp_(min=0)
    return torch.bincount(places, weights=whole, minlength=BINS).to(torch.int64)


def total_of(bins: Tensor) -> float:
    """Returns the sum that `bins_of` found, rounded once."""
    whole = sum(value << place for place, value in enumerate(bins.tolist()))
    return math.ldexp(whole, LOWEST - MANTISSA) if whole < 1 << 1000 else math.inf
