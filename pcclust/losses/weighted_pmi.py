"""TEMI: neighbours share clusters, by weighted pointwise mutual information."""

import torch
from torch import Tensor


def weighted_pmi(students: Tensor, teachers: Tensor, marginal: Tensor, beta: float = 0.6) -> Tensor:
    """Rewards clusters that a shape and its neighbour share more often than chance would have them.

    With s and t the softmax of students and teachers, m the marginal and x, x' the two shapes of a
    pair: the pair weighs ``w = mean over heads of Σ_c t_c(x) t_c(x')``, and a head's loss is the
    mean over pairs and over both directions of ``-w log Σ_c (s_c(x) t_c(x'))^beta / m_c``.

    Args:
        students: ``(2, H, B, K)`` logits, divided by the temperature, of H heads for B pairs.
        teachers: ``(2, H, B, K)`` logits of the slow heads; they get no gradient.
        marginal: ``(H, K)`` how large each cluster of each head is, summing to 1; no gradient.
        beta: in (0.5, 1]; 1 is mutual information, which prefers fewer clusters.

    Returns:
        ``(H,)`` a loss for each head.

    Raises:
        ValueError: shapes that do not fit.

    Source: Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained
    Models" (2023).

    Example:
        >>> import torch
        >>> from pcclust.losses import weighted_pmi
        >>> certain = (90 * torch.eye(4)).expand(2, 1, 4, 4)
        >>> round(float(weighted_pmi(certain, certain, torch.full((1, 4), 1 / 4)).exp()), 3)
        0.25
    """
    if students.dim() != 4 or len(students) != 2 or students.shape != teachers.shape:
        raise ValueError(
            "students and teachers must both be (2, H, B, K), got "
            f"{tuple(students.shape)} and {tuple(teachers.shape)}"
        )
    heads, clusters = students.shape[1], students.shape[3]
    if marginal.shape != (heads, clusters):
        raise ValueError(f"marginal must be ({heads}, {clusters}), got {tuple(marginal.shape)}")
    logs, slow = students.log_softmax(dim=3), teachers.detach().log_softmax(dim=3)
    weight = (slow[0] + slow[1]).exp().sum(dim=2).mean(dim=0)
    rarity = marginal.detach().clamp_min(torch.finfo(marginal.dtype).tiny).log()[:, None]
    # Each student beside the teacher of the other shape.
    pmi = (beta * (logs + slow.flip(0)) - rarity).logsumexp(dim=3)
    return -(weight * pmi).mean(dim=(0, 2))
