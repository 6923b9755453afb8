"""What the operators on rows in segments have in common."""

import torch
from torch import Tensor

from pcclust.ops._checks import check_clouds, check_matrix, check_slope, require

GIVEN = "Tensor values, Tensor scale, Tensor shift, Tensor? members, Tensor starts, Tensor sizes, "


def check_rows(
    values: Tensor,
    scale: Tensor,
    shift: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> None:
    check_matrix(values, "values")
    check_matrix(scale, "scale", values.shape[1:], values.dtype)
    check_matrix(shift, "shift", values.shape[1:], values.dtype)
    check_slope(slope)
    if members is not None:
        check_matrix(members, "members", (None,), torch.int64)
        inside = bool(((members >= 0) & (members < len(values))).all())
        require(inside, "members hold rows that there are not")
    check_clouds(values if members is None else members, starts, sizes)


def check_maxima(values: Tensor, sizes: Tensor, argmax: Tensor, to_maxima: Tensor) -> None:
    shape = (len(sizes), values.shape[1])
    check_matrix(argmax, "argmax", shape, torch.int32)
    inside = bool(((argmax >= -1) & (argmax < sizes[:, None])).all())
    require(inside, "argmax holds places outside of a segment")
    check_matrix(to_maxima, "to_maxima", shape, values.dtype)
