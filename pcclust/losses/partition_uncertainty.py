"""PICA: clusters as columns, each like itself in another view and unlike all others."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.losses._checks import check_assignments
from pcclust.losses.entropy import imbalance
from pcclust.ops._clouds import working_precision


def partition_uncertainty(p1: Tensor, p2: Tensor, balance: float = 2.0) -> Tensor:
    """Asks of each cluster that its shapes be the same in both views, and no other cluster's.

    With ``M_ab`` the cosine of column a of ``p1`` and column b of ``p2``, the mean over a of
    ``-log(exp(M_aa) / Σ_b exp(M_ab))``, plus ``balance`` times the `imbalance` of ``p1``. There is
    no temperature, so the first term is never 0.

    Args:
        p1: ``(B, K)`` soft assignments of B shapes; float16 and bfloat16 are computed in float32.
        p2: ``(B, K)`` those of changed views of the same shapes.
        balance: weight of the imbalance; 2 in the paper.

    Returns:
        A scalar, at least ``log(1 + (K - 1) / e)``. A column of zeros has cosine 0 to all.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)`` with K >= 2.

    Source: Huang et al., "Deep Semantic Clustering by Partition Confidence Maximisation" (2020).

    Example:
        >>> import torch
        >>> from pcclust.losses import partition_uncertainty
        >>> certain = torch.eye(3).repeat(2, 1)
        >>> round(float(partition_uncertainty(certain, certain).exp() - 1) * torch.e, 3)
        2.0
    """
    check_assignments(p1=p1, p2=p2)
    p1, p2 = working_precision(p1), working_precision(p2)
    with torch.autocast(p1.device.type, enabled=False):
        cosines = F.normalize(p1, dim=0).T @ F.normalize(p2, dim=0)
    same = torch.arange(cosines.shape[0], device=cosines.device)
    return F.cross_entropy(cosines, same) + balance * imbalance(p1)
