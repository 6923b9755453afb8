"""Self-labelling: what is certain of a plain view teaches a distorted one."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.losses._checks import check_assignments
from pcclust.ops._clouds import working_precision


class SelfLabelled(NamedTuple):
    """What a loss of confident shapes returns.

    Attributes:
        loss: a scalar; 0, with gradients of 0, where no shape is confident.
        fraction: the fraction of shapes that are confident, a scalar without a gradient.
    """

    loss: Tensor
    fraction: Tensor


def self_label(weak: Tensor, strong: Tensor, threshold: float = 0.99) -> SelfLabelled:
    """Trains on the clusters that plain views are certain of, each cluster with the same weight.

    The cross-entropy of the distorted views of confident shapes, weighted by the inverse frequency
    of their clusters and divided by the sum of the weights.

    Args:
        weak: ``(B, K)`` logits of plain views; they get no gradient.
        strong: ``(B, K)`` logits of distorted views of the same shapes.
        threshold: the least probability of the likeliest cluster, in [0, 1).

    Returns:
        The loss and the fraction of shapes it is of. Without any the loss is 0, where the official
        code raises.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)``, or a threshold outside [0, 1).

    Source: Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels" (2020).

    Example:
        >>> import torch
        >>> from pcclust.losses import self_label
        >>> loss, fraction = self_label(torch.tensor([[9.0, 0], [0, 0]]), torch.zeros(2, 2))
        >>> round(float(loss.exp()), 3), float(fraction)
        (2.0, 0.5)
    """
    labels, confident = _confident(weak, strong, threshold)
    strong = working_precision(strong)
    sizes = labels[confident].bincount(minlength=strong.shape[1])
    weight = confident.sum() / sizes.clamp_min(1)
    each = F.cross_entropy(strong, labels, reduction="none")
    of_shape = weight.to(each.dtype)[labels] * confident
    loss = (of_shape * each).sum() / of_shape.sum().clamp_min(1)
    return SelfLabelled(loss, confident.to(each.dtype).mean())


def fixmatch(weak: Tensor, strong: Tensor, threshold: float = 0.95) -> SelfLabelled:
    """Trains on the clusters that plain views are certain of; the others count as no loss.

    The cross-entropy of the distorted views of confident shapes, summed and divided by all B.

    Args:
        weak: ``(B, K)`` logits of plain views; they get no gradient.
        strong: ``(B, K)`` logits of distorted views of the same shapes.
        threshold: the least probability of the likeliest cluster, in [0, 1).

    Returns:
        The loss and the fraction of shapes it is of.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)``, or a threshold outside [0, 1).

    Source: Sohn et al., "FixMatch: Simplifying Semi-Supervised Learning with Consistency and
    Confidence" (2020), eq. 4; used by Niu et al., "SPICE" (2022).

    Example:
        >>> import torch
        >>> from pcclust.losses import fixmatch
        >>> loss, fraction = fixmatch(torch.tensor([[9.0, 0], [0, 0]]), torch.zeros(2, 2))
        >>> round(float((2 * loss).exp()), 3), float(fraction)
        (2.0, 0.5)
    """
    labels, confident = _confident(weak, strong, threshold)
    each = F.cross_entropy(working_precision(strong), labels, reduction="none")
    return SelfLabelled((confident * each).mean(), confident.to(each.dtype).mean())


def _confident(weak: Tensor, strong: Tensor, threshold: float) -> tuple[Tensor, Tensor]:
    """Returns the likeliest cluster of each plain view, and whether it is likely enough."""
    check_assignments(weak=weak, strong=strong)
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold={threshold} must be in [0, 1)")
    with torch.no_grad():
        confidence, labels = working_precision(weak).softmax(dim=1).max(dim=1)
    return labels, confidence > threshold
