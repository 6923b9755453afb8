"""What the maxima of `segment_pool` give to its scale and shift, without a pass over all rows."""

from typing import Any

import torch
from torch import Tensor

from pcclust.ops._registry import call, declare
from pcclust.ops._segment_checks import GIVEN, check_maxima, check_rows


def segment_sums(*given: Any) -> Tensor:  # noqa: ANN401
    """Returns the gradients of scale and shift, ``(2, C)`` float64, from those of the maxima.

    Args:
        *given: what the operator takes: values, scale, shift and segments as `segment_pool` got
            them, the places of its maxima, their gradients and the slope.
    """
    sums: Tensor = call("segment_sums", *given)
    return sums


def _segment_sums_torch(
    values: Tensor,
    scale: Tensor,
    shift: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    argmax: Tensor,
    to_maxima: Tensor,
    slope: float,
) -> Tensor:
    check_rows(values, scale, shift, members, starts, sizes, slope)
    check_maxima(values, sizes, argmax, to_maxima)
    listed = values if members is None else members
    if len(listed) == 0:
        return values.new_zeros(2, values.shape[1], dtype=torch.float64)
    places = (argmax.clamp(min=0) + starts[:, None]).clamp(max=len(listed) - 1)
    at_maxima = values.gather(0, places if members is None else members[places])
    rises = torch.addcmul(shift, at_maxima, scale) > 0
    own = torch.where(argmax >= 0, torch.where(rises, to_maxima, to_maxima * slope), 0).double()
    return torch.stack([(own * at_maxima).sum(dim=0), own.sum(dim=0)])


declare(
    f"segment_sums({GIVEN}Tensor argmax, Tensor to_maxima, float slope) -> Tensor",
    _segment_sums_torch,
    lambda values, *_: values.new_empty((2, values.shape[1]), dtype=torch.float64),
)
