"""Heads that give every shape's features a score for each cluster."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.losses import GaussianMixture, student_t_logits
from pcclust.nn._batch_norm import check_batch
from pcclust.nn.centers_head import CentersHead as CentersHead  # registered by being imported
from pcclust.nn.cluster_head import CLUSTER_HEADS, ClusterHead, register_cluster_head
from pcclust.nn.projector import Projector


def create_cluster_head(card: dict[str, Any]) -> ClusterHead:
    """Builds the head that `ClusterHead.card` describes.

    Raises:
        ValueError: this version knows no such head.
    """
    if card["name"] not in CLUSTER_HEADS:
        known = ", ".join(sorted(CLUSTER_HEADS))
        raise ValueError(f"cluster head {card['name']!r} is none of {known}")
    head = CLUSTER_HEADS[card["name"]]
    return head(card["width"], card["num_clusters"], **card["model_kwargs"])


@register_cluster_head("linear")
class LinearHead(ClusterHead):
    """A linear layer.

    Args:
        width: C.
        num_clusters: K.

    Example:
        >>> import torch
        >>> LinearHead(16, 4)(torch.rand(3, 16)).shape
        torch.Size([3, 4])
    """

    def __init__(self, width: int, num_clusters: int) -> None:
        super().__init__(width, num_clusters)
        self.layer = nn.Linear(width, num_clusters)

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)``."""
        scores: Tensor = self.layer(features)
        return scores


@register_cluster_head("mlp")
class MLPHead(ClusterHead):
    """A layer with ReLU, and a linear layer.

    Args:
        width: C.
        num_clusters: K.
        hidden: channels between; C if None.
        norm: whether BatchNorm comes before the ReLU.

    Example:
        >>> import torch
        >>> MLPHead(16, 4, hidden=8)(torch.rand(3, 16)).shape
        torch.Size([3, 4])
    """

    def __init__(
        self, width: int, num_clusters: int, hidden: int | None = None, norm: bool = False
    ) -> None:
        super().__init__(width, num_clusters, hidden=hidden, norm=norm)
        between = hidden or width
        layers: list[nn.Module] = [nn.Linear(width, between, bias=not norm)]
        if norm:
            layers.append(nn.BatchNorm1d(between))
        self.layers = nn.Sequential(*layers, nn.ReLU(), nn.Linear(between, num_clusters))
        self._norm = norm

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)``."""
        if self._norm:
            check_batch(self, len(features))
        scores: Tensor = self.layers(features)
        return scores


@register_cluster_head("projected")
class ProjectedHead(ClusterHead):
    """Clusters of projected features.

    Args:
        width: C.
        num_clusters: K.
        hidden: channels inside the projector.
        projection: channels of the projection, and between the two layers that score clusters.

    Example:
        >>> import torch
        >>> ProjectedHead(16, 4, hidden=32, projection=8)(torch.rand(3, 16)).shape
        torch.Size([3, 4])
    """

    def __init__(self, width: int, num_clusters: int, hidden: int, projection: int) -> None:
        super().__init__(width, num_clusters, hidden=hidden, projection=projection)
        self.projector = Projector(width, hidden, projection, norm=True)
        self.scores = Projector(projection, projection, num_clusters)

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)``."""
        scores: Tensor = self.scores(self.projector(features))
        return scores


@register_cluster_head("prototypes")
class PrototypeHead(ClusterHead):
    """Cosines to prototypes in a bottleneck: features are standardised, and two layers follow.

    Args:
        width: C.
        num_clusters: K.
        hidden: channels of the first layer.
        bottleneck: channels of the second, in which lengths are one.
        temperature: by which cosines are divided.

    Source: the head of Caron et al., "Emerging Properties in Self-Supervised Vision Transformers"
    (2021), with one hidden layer.

    Example:
        >>> import torch
        >>> head = PrototypeHead(16, 4, hidden=32, bottleneck=8, temperature=0.1)
        >>> bool(head(torch.rand(3, 16)).abs().max() <= 10)
        True
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, width: int, num_clusters: int, hidden: int, bottleneck: int, temperature: float
    ) -> None:
        super().__init__(
            width, num_clusters, hidden=hidden, bottleneck=bottleneck, temperature=temperature
        )
        self.temperature = temperature
        first, second = nn.Linear(width, hidden), nn.Linear(hidden, bottleneck)
        self.layers = nn.Sequential(first, nn.GELU(), second)
        self.prototypes = nn.Parameter(torch.empty(num_clusters, bottleneck))
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("deviation", torch.ones(width))
        for layer in (first, second):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        nn.init.trunc_normal_(self.prototypes, std=0.02)

    def standardize(self, mean: Tensor, deviation: Tensor) -> None:
        """Takes mean and deviation ``(C,)`` of the features; constant channels become 0."""
        self.mean.copy_(mean)
        self.deviation.copy_(torch.where(deviation > 1e-6 * mean.abs(), deviation, torch.inf))

    @torch.no_grad()
    def of_wider(self, mean: Tensor, axes: Tensor) -> "PrototypeHead":
        """Returns the head that scores features as this one does what it was shown of them.

        Args:
            mean: ``(W,)`` of the features.
            axes: ``(C, W)``: this head was shown ``(features - mean) @ axes.T``.
        """
        given: dict[str, Any] = self.model_kwargs
        wider = PrototypeHead(axes.shape[1], self.num_clusters, **given)
        wider.prototypes.copy_(self.prototypes)
        wider.layers.load_state_dict(
            self.layers.state_dict() | {"0.weight": wider.layers[0].weight}
        )
        first, theirs = self.layers[0], wider.layers[0]
        assert isinstance(first, nn.Linear)
        assert isinstance(theirs, nn.Linear)
        weight = first.weight.double() / self.deviation.double()
        theirs.weight.copy_(weight @ axes.double())
        theirs.bias.sub_((weight @ self.mean.double()).float())
        wider.mean.copy_(mean)
        return wider.to(self.mean.device)

    def forward(self, features: Tensor, *, learn_prototypes: bool = True) -> Tensor:
        """Returns scores ``(…, K)`` of features ``(…, C)``.

        Args:
            features: as an encoder gives them.
            learn_prototypes: whether prototypes get a gradient.
        """
        prototypes = self.prototypes if learn_prototypes else self.prototypes.detach()
        z = F.normalize(self.layers((features - self.mean) / self.deviation), dim=-1)
        return F.linear(z, F.normalize(prototypes, dim=1)) / self.temperature


@register_cluster_head("student-t")
class StudentTHead(ClusterHead):
    """Nearness to centers in a linear embedding, by Student's t: DEC's soft assignment.

    Args:
        width: C.
        num_clusters: K.
        latent: numbers of the embedding.
        alpha: degrees of freedom.

    Example:
        >>> import torch
        >>> StudentTHead(16, 4, latent=3)(torch.rand(2, 16)).softmax(dim=1).shape
        torch.Size([2, 4])
    """

    def __init__(self, width: int, num_clusters: int, latent: int, alpha: float = 1.0) -> None:
        super().__init__(width, num_clusters, latent=latent, alpha=alpha)
        self.alpha = alpha
        self.embedding = nn.Linear(width, latent)
        self.centers = nn.Parameter(torch.zeros(num_clusters, latent))

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)``."""
        return student_t_logits(self.embedding(features), self.centers, self.alpha)


@register_cluster_head("mixture")
class MixtureHead(ClusterHead):
    """A mixture of Gaussians in a linear embedding: VaDE's clusters, by the posterior's mean.

    Args:
        width: C.
        num_clusters: K.
        latent: numbers of the embedding.

    Example:
        >>> import torch
        >>> MixtureHead(16, 4, latent=3)(torch.rand(2, 16)).softmax(dim=1).shape
        torch.Size([2, 4])
    """

    def __init__(self, width: int, num_clusters: int, latent: int) -> None:
        super().__init__(width, num_clusters, latent=latent)
        self.embedding = nn.Linear(width, latent)
        self.logits = nn.Parameter(torch.zeros(num_clusters))
        self.means = nn.Parameter(torch.zeros(num_clusters, latent))
        self.log_variances = nn.Parameter(torch.zeros(num_clusters, latent))

    @property
    def prior(self) -> GaussianMixture:
        """The mixture."""
        return GaussianMixture(self.logits, self.means, self.log_variances)

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(B, K)``."""
        return self.prior.log_joint(self.embedding(features))
