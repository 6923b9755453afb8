"""VICReg: views of a shape agree, and neither channels nor shapes collapse."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.losses._checks import check_views
from pcclust.ops._clouds import working_precision

EPS = 1e-4


def vicreg(
    z1: Tensor,
    z2: Tensor,
    *,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
) -> Tensor:
    """Brings views together, keeps every channel's deviation near one and channels uncorrelated.

    The sum, by these weights, of three terms: the mean square difference of the views; of both
    views' channels the mean of ``max(0, 1 - sqrt(variance + 1e-4))``, halved; and of both views'
    covariance matrices the squares off the diagonal, divided by C. Variances and covariances divide
    by B - 1. (The paper does not halve the second term, the official code does.)

    Args:
        z1: ``(B, C)`` the first views of B shapes; float16 and bfloat16 are computed in float32.
        z2: ``(B, C)`` their second views.
        invariance: weight of the first term.
        variance: weight of the second.
        covariance: weight of the third.

    Returns:
        A scalar.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, C)`` with B >= 2.

    Source: Bardes et al., "VICReg: Variance-Invariance-Covariance Regularization for
    Self-Supervised Learning" (2022), eq. 1 to 6.

    Example:
        >>> import torch
        >>> from pcclust.losses import vicreg
        >>> collapsed = torch.ones(4, 8)
        >>> round(float(vicreg(collapsed, collapsed, variance=1)), 3)
        0.99
    """
    check_views(z1, z2)
    z1, z2 = working_precision(z1), working_precision(z2)
    difference = F.mse_loss(z1, z2)
    spread = sum(_collapse(z) for z in (z1, z2)) / 2
    redundancy = sum(_redundancy(z) for z in (z1, z2))
    return invariance * difference + variance * spread + covariance * redundancy


def _collapse(z: Tensor) -> Tensor:
    return (1 - (z.var(dim=0) + EPS).sqrt()).relu().mean()


def _redundancy(z: Tensor) -> Tensor:
    centred = z - z.mean(dim=0)
    with torch.autocast(z.device.type, enabled=False):
        covariance = centred.T @ centred / (len(z) - 1)
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    return off_diagonal / z.shape[1]
