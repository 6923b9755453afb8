"""Data far from 1 in size, brought by a power of two to where squares neither overflow nor vanish.

Multiplying by a power of two rounds nothing, so the clusters are those of the data as they are.
"""

import math

import numpy as np
import torch
from torch import Tensor


def exponent_of(*values: Tensor) -> int:
    """Returns e such that the squares of values times 2⁻ᵉ are in range; 0 where they are already.

    In range means that sums of squares do not overflow, and that the square of a difference in the
    last digits of the largest value does not vanish.
    """
    limits = torch.finfo(values[0].dtype)
    highest = math.frexp(limits.max)[1] // 2 - 14
    lowest = math.frexp(limits.tiny)[1] // 2 - math.frexp(limits.eps)[1] + 20
    largest = max(float(tensor.abs().max()) for tensor in values)
    exponent = math.frexp(largest)[1]
    return 0 if largest == 0 or lowest <= exponent <= highest else exponent - highest


def times_two_to(values: Tensor, exponent: int) -> Tensor:
    """Returns ``values * 2 ** exponent``; in two steps, as the power alone may overflow."""
    if exponent == 0:
        return values
    half = exponent // 2
    return values * 2.0**half * 2.0 ** (exponent - half)


def squared_back(total: float, exponent: int) -> float:
    """Returns a sum of squares of values times 2⁻ᵉ as that of the values."""
    with np.errstate(over="ignore", under="ignore"):
        return float(np.ldexp(total, 2 * exponent))
