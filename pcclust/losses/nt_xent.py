"""NT-Xent, the normalised temperature-scaled cross-entropy of SimCLR."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.losses._checks import check_views
from pcclust.ops._clouds import working_precision


def nt_xent(z1: Tensor, z2: Tensor, temperature: float = 0.5) -> Tensor:
    """Asks of every view which of the 2B - 1 others is the other view of its shape.

    With all rows brought to length one and s their inner products, the loss is the mean over the 2B
    views i, with j the other view of the same shape, of
    ``-log(exp(s_ij / temperature) / Σ_{k≠i} exp(s_ik / temperature))``.

    Args:
        z1: ``(B, C)`` the first views of B shapes; float16 and bfloat16 are computed in float32.
        z2: ``(B, C)`` their second views.
        temperature: above 0; the lower, the more the nearest others count.

    Returns:
        A scalar, log(2B - 1) where all views are alike.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, C)`` with B >= 2, or no temperature above 0.

    Source: Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations"
    (2020), eq. 1.

    Example:
        >>> import torch
        >>> from pcclust.losses import nt_xent
        >>> alike = torch.ones(4, 8)
        >>> round(float(nt_xent(alike, alike).exp()), 3)
        7.0
    """
    check_views(z1, z2)
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0")
    views = F.normalize(working_precision(torch.cat([z1, z2])), dim=1)
    with torch.autocast(views.device.type, enabled=False):  # bfloat16 would blur similar views
        similarity = views @ views.T / temperature
    similarity = similarity.masked_fill(
        torch.eye(len(views), dtype=torch.bool, device=views.device), -torch.inf
    )
    partners = torch.arange(len(views), device=views.device).roll(len(z1))
    return F.cross_entropy(similarity, partners)
