"""SCAN: a shape and its neighbour belong to one cluster, and no cluster has them all."""

import math

from torch import Tensor

from pcclust.losses._checks import check_assignments
from pcclust.losses.entropy import imbalance
from pcclust.ops._clouds import working_precision


def scan(anchors: Tensor, neighbors: Tensor, entropy_weight: float = 5.0) -> Tensor:
    """Asks that a shape and a neighbour get one cluster with certainty, and clusters equal sizes.

    ``-mean log ⟨p, p'⟩ - entropy_weight · H(mean p)``, with p and p' the softmax of both inputs.
    The inner product is computed from logarithms, so no similarity is too small for it.

    Args:
        anchors: ``(B, K)`` logits of B shapes; float16 and bfloat16 are computed in float32.
        neighbors: ``(B, K)`` logits of a neighbour of each.
        entropy_weight: of the entropy; 5 in the paper's experiments.

    Returns:
        A scalar, at least ``-entropy_weight · log K``.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)`` with K >= 2.

    Source: Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels" (2020), eq. 2.

    Example:
        >>> import torch
        >>> from pcclust.losses import scan
        >>> certain = 50 * torch.eye(3)
        >>> abs(float(scan(certain, certain, entropy_weight=0))) < 1e-6
        True
    """
    check_assignments(anchors=anchors, neighbors=neighbors)
    anchors, neighbors = working_precision(anchors), working_precision(neighbors)
    agreement = (anchors.log_softmax(dim=1) + neighbors.log_softmax(dim=1)).logsumexp(dim=1)
    spread = math.log(anchors.shape[1]) - imbalance(anchors.softmax(dim=1))
    return -agreement.mean() - entropy_weight * spread
