"""The gradient of the rows of `segment_pool`, in one pass over them."""

from typing import Any

import torch
from torch import Tensor

from pcclust.ops._checks import check_matrix, require
from pcclust.ops._last_backward import in_last_backward
from pcclust.ops._registry import call, declare
from pcclust.ops._segment_checks import GIVEN, check_maxima, check_rows
from pcclust.ops.segments import segment_rows


def segment_pull(values: Tensor, *given: Any, consume: bool) -> Tensor:  # noqa: ANN401
    """Returns the gradient ``(R, C)`` of the rows.

    Args:
        values: ``(R, C)``, as `segment_pool` got them.
        *given: what else the operator takes.
        consume: whether nobody else uses ``values``, and the last backward pass may overwrite them.
    """
    whole = consume and values.device.type == "cpu" and int(given[4].sum()) == len(values)
    if whole and in_last_backward():
        call("segment_pull_", values, *given)
        return values
    gradient: Tensor = call("segment_pull", values, *given)
    return gradient


def _segment_pull_torch(
    values: Tensor,
    scale: Tensor,
    shift: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    argmax: Tensor,
    to_maxima: Tensor,
    to_rows: Tensor,
    linear: Tensor,
    constant: Tensor,
    slope: float,
) -> Tensor:
    check_rows(values, scale, shift, members, starts, sizes, slope)
    check_maxima(values, sizes, argmax, to_maxima)
    check_matrix(to_rows, "to_rows", tuple(argmax.shape), values.dtype)
    check_matrix(linear, "linear", values.shape[1:], values.dtype)
    check_matrix(constant, "constant", values.shape[1:], values.dtype)
    places, owners = segment_rows(starts, sizes)
    rows = places if members is None else members[places]
    once = bool((torch.bincount(rows, minlength=1) <= 1).all())
    require(once, "members hold a row twice")
    z = values[rows]
    to_y = to_rows[owners]
    place = (places - starts[owners])[:, None]
    to_y = torch.where(place == argmax[owners], to_y + to_maxima[owners], to_y)
    x = torch.addcmul(shift, z, scale)
    to_x = torch.where(x > 0, to_y, to_y * slope)
    gradient = torch.zeros_like(values)
    gradient[rows] = to_x * scale + (z * linear + constant)
    return gradient


def _segment_pull_in_place_torch(*given: Any) -> None:  # noqa: ANN401
    values, sizes = given[0], given[5]
    require(int(sizes.sum()) == len(values), "every row must be in a segment")
    values.copy_(_segment_pull_torch(*given))


declare(
    f"segment_pull({GIVEN}Tensor argmax, Tensor to_maxima, Tensor to_rows, Tensor linear, "
    "Tensor constant, float slope) -> Tensor",
    _segment_pull_torch,
    lambda values, *_: torch.empty_like(values),
)
# The same, into the memory of `values`, where every row is in a segment.
declare(
    f"segment_pull_({GIVEN.replace('Tensor values', 'Tensor(a!) values')}Tensor argmax, "
    "Tensor to_maxima, Tensor to_rows, Tensor linear, Tensor constant, float slope) -> ()",
    _segment_pull_in_place_torch,
    lambda *_: None,
)
