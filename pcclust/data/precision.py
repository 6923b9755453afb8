"""Coordinates in float32 without the loss of detail far from the origin."""

import torch
from torch import Tensor

# Ours: a shape this many of its extents away has lost 4 of float32's 24 bits, which nobody sees.
FAR = 16


def in_float32(points: Tensor) -> Tensor:
    """Returns shapes in float32, of which those far from the origin are moved to their mean first.

    At 5,000,000 m, as in UTM, float32 knows half metres only; about its own mean, a shape of any
    size keeps seven digits of its extent. Shapes nearer than 16 times their extent stay in place.

    Args:
        points: ``(…, P, 3)`` of any type of number.

    Example:
        >>> import torch
        >>> from pcclust.data.precision import in_float32
        >>> far = torch.tensor([[5e6, 0, 0], [5e6 + 0.001, 0, 0]], dtype=torch.float64)
        >>> in_float32(far)[:, 0].diff().item()
        0.0010000001639127731
    """
    if points.dtype in (torch.float32, torch.float16, torch.bfloat16) or not points.numel():
        return points.float()
    exact = points.double()
    extent = (exact.amax(-2, keepdim=True) - exact.amin(-2, keepdim=True)).amax(-1, keepdim=True)
    away = exact.abs().amax((-2, -1), keepdim=True)
    far = (away > FAR * extent) & (extent > 0)
    if not far.any():
        return points.float()
    return (exact - torch.where(far, exact.mean(-2, keepdim=True), 0)).float()
