"""The contrast of views with prototypes, the centres of clusters of all shapes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._clouds import working_precision


def prototype_contrast(
    z: Tensor, prototypes: Tensor, labels: Tensor, temperature: float = 0.1
) -> Tensor:
    """Asks of every view to which of K prototypes its shape belongs.

    With all rows brought to length one, the loss is the mean over the views i of
    ``-log(exp(z_i·c_l / temperature) / Σ_k exp(z_i·c_k / temperature))``, l being the label of i.
    The paper has a temperature for each cluster by how dense it is, and draws some of the other
    clusters; here one temperature serves all, and all others count (our choice).

    Args:
        z: ``(B, C)`` views; float16 and bfloat16 are computed in float32.
        prototypes: ``(K, C)``; they get no gradient.
        labels: ``(B,)`` int64, the prototype of each view.
        temperature: above 0; the lower, the more the nearest prototypes count.

    Returns:
        A scalar, log(K) where all prototypes are alike.

    Raises:
        TypeError: ``z`` not floating, or ``labels`` not int64.
        ValueError: shapes that do not fit, labels outside 0 to K - 1, or no temperature above 0.

    Source: Li et al., "Prototypical Contrastive Learning of Unsupervised Representations" (2021),
    eq. 11, its second term.

    Example:
        >>> import torch
        >>> from pcclust.losses import prototype_contrast
        >>> alike = torch.ones(3, 8)
        >>> loss = prototype_contrast(torch.rand(2, 8), alike, torch.tensor([0, 2]))
        >>> round(float(loss.exp()), 3)
        3.0
    """
    _check(z, prototypes, labels)
    if not temperature > 0:
        raise ValueError(f"temperature={temperature} must be above 0")
    views = F.normalize(working_precision(z), dim=1)
    centers = F.normalize(prototypes.detach().to(views), dim=1)
    with torch.autocast(views.device.type, enabled=False):  # bfloat16 would blur near prototypes
        return F.cross_entropy(views @ centers.T / temperature, labels)


def _check(z: Tensor, prototypes: Tensor, labels: Tensor) -> None:
    if not z.is_floating_point():
        raise TypeError(f"z must be floating, got {z.dtype}")
    if labels.dtype != torch.int64:
        raise TypeError(f"labels must be int64, got {labels.dtype}")
    if z.dim() != 2 or prototypes.dim() != 2 or z.shape[1] != prototypes.shape[1] or len(z) < 1:
        raise ValueError(
            f"z must be (B, C) with B >= 1 and prototypes (K, C), got {tuple(z.shape)} and "
            f"{tuple(prototypes.shape)}"
        )
    if labels.shape != z.shape[:1]:
        raise ValueError(f"labels must be ({len(z)},), got {tuple(labels.shape)}")
    if not bool(((labels >= 0) & (labels < len(prototypes))).all()):
        raise ValueError(f"labels must be from 0 to {len(prototypes) - 1}")
