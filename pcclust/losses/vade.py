"""VaDE: a variational auto-encoder whose prior is a mixture of Gaussians, one a cluster."""

import math
from typing import NamedTuple

from torch import Tensor

from pcclust.losses.entropy import entropy


class GaussianMixture(NamedTuple):
    """A prior of K Gaussians with diagonal covariances.

    Attributes:
        logits: ``(K,)``, whose softmax are the weights π.
        means: ``(K, D)``.
        log_variances: ``(K, D)``, so that no variance is negative.
    """

    logits: Tensor
    means: Tensor
    log_variances: Tensor

    def log_joint(self, z: Tensor) -> Tensor:
        """Returns ``(B, K)``: ``log π_c + log N(z; means_c, variances_c)`` of ``(B, D)``."""
        squares = (z[:, None] - self.means).square() / self.log_variances.exp()
        logs = -0.5 * (math.log(2 * math.pi) + self.log_variances + squares).sum(dim=2)
        return self.logits.log_softmax(dim=0) + logs


def vade_divergence(
    mean: Tensor, log_variance: Tensor, z: Tensor, prior: GaussianMixture
) -> Tensor:
    """Returns by how much the posterior of a shape and of its cluster differs from the prior.

    With γ the softmax of `GaussianMixture.log_joint` of the sample ``z``, s² the posterior's and λ
    the prior's variances: ``½ Σ_c γ_c Σ_d (log λ_cd + s²_d/λ_cd + (mean_d - u_cd)²/λ_cd) -
    ½ Σ_d (1 + log s²_d) - Σ_c γ_c log π_c + Σ_c γ_c log γ_c``. The negative ELBO is this plus the
    reconstruction's error.

    Args:
        mean: ``(B, D)`` of the posterior.
        log_variance: ``(B, D)`` of the posterior.
        z: ``(B, D)`` a sample of it.
        prior: of K clusters.

    Returns:
        ``(B,)``.

    Raises:
        ValueError: shapes that do not fit.

    Source: Jiang et al., "Variational Deep Embedding" (2017); γ by log-sum-exp.

    Example:
        >>> import torch
        >>> from pcclust.losses import GaussianMixture, vade_divergence
        >>> zero = torch.zeros(1, 2)
        >>> one_gaussian = GaussianMixture(torch.zeros(1), zero, zero)
        >>> vade_divergence(zero, zero, zero, one_gaussian).tolist()
        [0.0]
    """
    if not (mean.shape == log_variance.shape == z.shape) or z.shape[1:] != prior.means.shape[1:]:
        shapes = [tuple(t.shape) for t in (mean, log_variance, z, prior.means)]
        raise ValueError(
            "mean, log_variance and z must be (B, D) and the prior's means (K, D), got "
            + ", ".join(map(str, shapes))
        )
    gamma = prior.log_joint(z).softmax(dim=1)
    squares = log_variance.exp()[:, None] + (mean[:, None] - prior.means).square()
    cross = 0.5 * (prior.log_variances + squares / prior.log_variances.exp()).sum(dim=2)
    own = 0.5 * (1 + log_variance).sum(dim=1)
    weights = prior.logits.log_softmax(dim=0)
    return (gamma * (cross - weights)).sum(dim=1) - own - entropy(gamma)
