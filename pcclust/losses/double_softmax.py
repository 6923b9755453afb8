"""SPICE-Self's cross-entropy, whose logits are themselves probabilities."""

from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._clouds import working_precision


def double_softmax(logits: Tensor, labels: Tensor) -> Tensor:
    """Returns ``-log softmax(softmax(z))_y``, a mean over shapes.

    The inner softmax is in [0, 1], so gradients stay bounded and the loss is never below
    ``log(1 + (K - 1) / e)``: labels that may be wrong are followed with care.

    Args:
        logits: ``(B, K)``; float16 and bfloat16 are computed in float32.
        labels: ``(B,)`` int64 clusters.

    Returns:
        A scalar.

    Raises:
        TypeError: logits that are not floating.
        ValueError: shapes that do not fit.

    Source: Niu et al., "SPICE: Semantic Pseudo-Labeling for Image Clustering" (2022).

    Example:
        >>> import torch
        >>> from pcclust.losses import double_softmax
        >>> certain = double_softmax(90 * torch.eye(3), torch.arange(3))
        >>> round(float(certain.exp() - 1) * torch.e, 3)
        2.0
    """
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating, got {logits.dtype}")
    if logits.dim() != 2 or labels.shape != logits.shape[:1]:
        raise ValueError(
            f"logits must be (B, K) and labels (B,), got {tuple(logits.shape)} and "
            f"{tuple(labels.shape)}"
        )
    return F.cross_entropy(working_precision(logits).softmax(dim=1), labels)
