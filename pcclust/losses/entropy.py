"""Entropy that is safe at probability zero, and how far clusters are from equal sizes."""

import math

import torch
from torch import Tensor

from pcclust.losses._checks import check_assignments
from pcclust.ops._clouds import working_precision


def entropy(p: Tensor, dim: int = -1) -> Tensor:
    """Returns ``-Σ p log p`` in nats; where p is 0, both value and gradient are finite.

    Args:
        p: probabilities, of any shape; float16 and bfloat16 are computed in float32.
        dim: along which they are summed.

    Returns:
        The shape of ``p`` without ``dim``, from 0 to the log of its length.

    Raises:
        TypeError: not floating.

    Source: Shannon, "A Mathematical Theory of Communication" (1948). Official codes of clustering
    losses write ``p * log(p)``, which is NaN as soon as a cluster has no shape.

    Example:
        >>> import torch
        >>> from pcclust.losses import entropy
        >>> round(float(entropy(torch.tensor([0.5, 0.5, 0.0])).exp()), 3)
        2.0
    """
    if not p.is_floating_point():
        raise TypeError(f"p must be floating, got {p.dtype}")
    p = working_precision(p)
    return -(p * p.clamp_min(torch.finfo(p.dtype).tiny).log()).sum(dim)


def imbalance(p: Tensor) -> Tensor:
    """Returns ``log K - H(mean of p)``, from 0 for equally large clusters to log K for one alone.

    Args:
        p: ``(B, K)`` soft assignments of B shapes to K clusters, rows summing to 1.

    Returns:
        A scalar.

    Raises:
        TypeError: not floating.
        ValueError: not ``(B, K)`` with B >= 1 and K >= 2.

    Source: the entropy term of Li et al., "Contrastive Clustering" (2021), and of Huang et al.,
    "Deep Semantic Clustering by Partition Confidence Maximisation" (2020), both with ``log K``
    added so that it is never negative.

    Example:
        >>> import torch
        >>> from pcclust.losses import imbalance
        >>> round(float(imbalance(torch.eye(4))), 3)
        0.0
    """
    check_assignments(p=p)
    return math.log(p.shape[1]) - entropy(working_precision(p).mean(dim=0))
