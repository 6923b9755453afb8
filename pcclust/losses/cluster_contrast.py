"""Contrastive Clustering's loss of clusters: NT-Xent of columns, and balance."""

from torch import Tensor

from pcclust.losses._checks import check_assignments
from pcclust.losses.entropy import imbalance
from pcclust.losses.nt_xent import nt_xent


def cluster_contrast(p1: Tensor, p2: Tensor, temperature: float = 1.0) -> Tensor:
    """Asks of every cluster in one view which of all others is the same cluster in the other view.

    `nt_xent` of the 2K columns, plus the `imbalance` of each view.

    Args:
        p1: ``(B, K)`` soft assignments of B shapes; float16 and bfloat16 are computed in float32.
        p2: ``(B, K)`` those of other views of the same shapes.
        temperature: of the columns' similarity; 1 in the paper.

    Returns:
        A scalar.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)`` with K >= 2, or no temperature above 0.

    Source: Li et al., "Contrastive Clustering" (2021).

    Example:
        >>> import torch
        >>> from pcclust.losses import cluster_contrast
        >>> certain, same = torch.eye(3), torch.full((3, 3), 1 / 3)
        >>> bool(cluster_contrast(certain, certain) < cluster_contrast(same, same))
        True
    """
    check_assignments(p1=p1, p2=p2)
    return nt_xent(p1.T, p2.T, temperature) + imbalance(p1) + imbalance(p2)
