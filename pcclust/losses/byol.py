"""BYOL: a prediction of one view meets a slow network's projection of another."""

from torch import Tensor
from torch.nn import functional as F

from pcclust.losses._checks import check_views
from pcclust.ops._clouds import working_precision


def byol(predictions: Tensor, targets: Tensor) -> Tensor:
    """Returns the mean of ``2 - 2 cos`` of predictions and targets.

    Args:
        predictions: ``(B, C)`` of the network that learns; float16 and bfloat16 are computed in
            float32.
        targets: ``(B, C)`` of the network that follows; they get no gradient.

    Returns:
        A scalar from 0 to 4.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, C)`` with B >= 2.

    Source: Grill et al., "Bootstrap Your Own Latent" (2020), eq. 2.

    Example:
        >>> import torch
        >>> from pcclust.losses import byol
        >>> round(float(byol(torch.eye(2), 3 * torch.eye(2))), 3)
        0.0
    """
    check_views(predictions, targets)
    predictions, targets = working_precision(predictions), working_precision(targets.detach())
    return (2 - 2 * F.cosine_similarity(predictions, targets, dim=1)).mean()
