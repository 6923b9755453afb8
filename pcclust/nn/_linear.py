"""Linear layers on the rows of points."""

import torch
from torch import Tensor
from torch.nn import functional as F

MOST_ROWS = 1024  # in one image
LEAST_IMAGES = 16


def linear(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Returns ``rows @ weight.T + bias`` as ``torch.nn.functional.linear`` does, often faster.

    On a CPU, torch gives products of matrices to one library and convolutions to another, and on
    many processors the second is about twice as fast, forward and backward: so the rows are taken
    for the pixels of some images, and the product for a 1×1 convolution.

    Args:
        rows: ``(R, in)``.
        weight: ``(out, in)``.
        bias: ``(out,)`` or None.
    """
    width = _image_width(rows, weight)
    if width < 2:
        return F.linear(rows, weight, bias)
    whole = len(rows) // width * width
    if whole == len(rows):
        return _convolve(rows, weight, bias, width)
    first, rest = rows.split_with_sizes([whole, len(rows) - whole])
    rest = F.linear(rest, weight, bias)
    return torch.cat([_convolve(first, weight, bias, width).to(rest.dtype), rest])


def _convolve(rows: Tensor, weight: Tensor, bias: Tensor | None, width: int) -> Tensor:
    images = rows.view(-1, 1, width, rows.shape[1]).permute(0, 3, 1, 2)
    out = F.conv2d(images, weight[:, :, None, None], bias)
    return out.permute(0, 2, 3, 1).reshape(-1, len(weight))


def _image_width(rows: Tensor, weight: Tensor) -> int:
    usable = not torch.compiler.is_compiling() and torch._C._has_mkldnn
    if not usable or rows.device.type != "cpu" or {rows.dtype, weight.dtype} != {torch.float32}:
        return 0
    return min(MOST_ROWS, len(rows) // LEAST_IMAGES)
