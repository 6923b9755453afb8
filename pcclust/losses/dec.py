"""DEC: assignments by Student's t, sharpened into a target that the network follows."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.losses._checks import check_assignments
from pcclust.ops._clouds import working_precision


def student_t_logits(z: Tensor, centers: Tensor, alpha: float = 1.0) -> Tensor:
    """Returns the logarithms of how much each center has of each shape, before normalisation.

    ``-(alpha + 1) / 2 · log(1 + ‖z_i - μ_j‖² / alpha)``; their softmax is DEC's soft assignment q.

    Args:
        z: ``(B, C)`` embedded shapes; float16 and bfloat16 are computed in float32.
        centers: ``(K, C)`` cluster centers μ.
        alpha: degrees of freedom, above 0; the paper has 1.

    Returns:
        ``(B, K)`` logits.

    Raises:
        TypeError: not floating.
        ValueError: shapes that do not fit, or no alpha above 0.

    Source: Xie et al., "Unsupervised Deep Embedding for Clustering Analysis" (2016), eq. 1.

    Example:
        >>> import torch
        >>> from pcclust.losses import student_t_logits
        >>> z, centers = torch.tensor([[0.0], [3.0]]), torch.tensor([[0.0], [3.0]])
        >>> student_t_logits(z, centers).softmax(dim=1).round(decimals=3).tolist()[0]
        [0.9089999794960022, 0.09099999815225601]
    """
    if not (z.is_floating_point() and centers.is_floating_point()):
        raise TypeError(f"z and centers must be floating, got {z.dtype} and {centers.dtype}")
    if z.dim() != 2 or centers.dim() != 2 or z.shape[1] != centers.shape[1]:
        raise ValueError(
            f"z must be (B, C) and centers (K, C), got {tuple(z.shape)} and {tuple(centers.shape)}"
        )
    if not alpha > 0:
        raise ValueError(f"alpha={alpha} must be above 0")
    z, centers = working_precision(z), working_precision(centers)
    squares = (z[:, None] - centers).square().sum(dim=2)
    return -(alpha + 1) / 2 * torch.log1p(squares / alpha)


def target_distribution(q: Tensor) -> Tensor:
    """Sharpens the assignments of ALL shapes, so that large clusters do not pull in the rest.

    ``p_ij ∝ q_ij² / Σ_i q_ij``, each row normalised.

    Args:
        q: ``(N, K)`` soft assignments of the whole dataset: of a batch the sizes would be wrong.

    Returns:
        ``(N, K)`` without a gradient; a cluster that no shape belongs to gets nothing.

    Raises:
        TypeError: not floating.
        ValueError: not ``(N, K)`` with K >= 2.

    Source: Xie et al. (2016), eq. 3.

    Example:
        >>> import torch
        >>> from pcclust.losses import target_distribution
        >>> q = torch.tensor([[0.8, 0.2], [0.5, 0.5]])
        >>> (target_distribution(q)[0] > q[0]).tolist()
        [True, False]
    """
    check_assignments(q=q)
    q = working_precision(q.detach())
    weight = q.square() / q.sum(dim=0).clamp_min(torch.finfo(q.dtype).tiny)
    return weight / weight.sum(dim=1, keepdim=True)


def dec(logits: Tensor, target: Tensor) -> Tensor:
    """Returns the divergence KL(P‖Q) of the assignments from their target, a mean over shapes.

    Args:
        logits: ``(B, K)`` of `student_t_logits`; Q is their softmax.
        target: ``(B, K)`` rows of `target_distribution` for these shapes; gets no gradient.

    Returns:
        A scalar, 0 where Q = P.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)`` with K >= 2.

    Source: Xie et al. (2016), eq. 2, divided by the number of shapes.

    Example:
        >>> import torch
        >>> from pcclust.losses import dec
        >>> logits = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
        >>> abs(float(dec(logits, logits.softmax(dim=1)))) < 1e-6
        True
    """
    check_assignments(logits=logits, target=target)
    logs = working_precision(logits).log_softmax(dim=1)
    return F.kl_div(logs, working_precision(target.detach()), reduction="batchmean")
