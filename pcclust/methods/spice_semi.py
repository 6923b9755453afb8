"""SPICE-Semi: shapes whose neighbourhoods agree teach the whole network, by FixMatch."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.data import PointDataset
from pcclust.data.seeding import seeded_generator
from pcclust.losses import fixmatch
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.scan import head_before
from pcclust.methods.views import StageFields
from pcclust.ops import knn
from pcclust.training import Progress

NOT_RELIABLE = -1
TAUGHT = 3  # a use of the seed


@dataclass(frozen=True, kw_only=True)
class SPICESemiConfig(StageFields, DeepClusteringConfig):
    """Which labels are reliable, and how they are learned.

    Attributes:
        neighbors: of a shape, itself among them, whose clusters are compared.
        agreement: the least fraction of them that share its cluster.
        confidence: the least probability of its cluster.
        threshold: of the likeliest cluster of other shapes, from which on it is learned.
    """

    neighbors: int = 100
    agreement: float = 0.9
    confidence: float = 0.99
    threshold: float = 0.95
    epochs: int = 20
    batch_size: int = 64
    learning_rate: float | None = 1e-4

    method: ClassVar[str] = "spice-semi"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbors < 1:
            raise ValueError(f"neighbors={self.neighbors} must be positive")
        for name in ("agreement", "confidence", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must be in [0, 1]")


class SPICESemi(DeepClustering):
    """Learns reliable labels of the stage before, and what the network is sure of beside them.

    A shape is reliable where it and its neighbourhood are sure of one cluster; every cluster then
    keeps as many as the smallest that has any. (With the official code one cluster without a
    reliable shape takes the labels of all.) A step sees a reliable shape for each other one, where
    the paper has one for seven, and no average of the weights is kept.

    Source: Niu et al., "SPICE: Semantic Pseudo-Labeling for Image Clustering" (2022).
    """

    config: SPICESemiConfig
    num_views: ClassVar[int] = 3
    collapse_advice: ClassVar[str] = "leave this stage out (--semi.epochs 0)"

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the head of the stage before."""
        return {"cluster": head_before(self.previous)}

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the reliable label of each shape, -1 for none, and the epoch."""
        return {
            "reliable": torch.full((len(self.shapes),), NOT_RELIABLE),
            "epoch": torch.zeros((), dtype=torch.int64),
        }

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Finds the reliable labels before the first epoch.

        Raises:
            ValueError: no shape is reliable.
        """
        if epoch == 0:
            config, features = self.config, self.features(progress)
            found = reliable_labels(
                self.assignments(), features, config.neighbors, config.agreement, config.confidence
            )
            if bool((found == NOT_RELIABLE).all()):
                raise ValueError(
                    f"no shape is sure of its cluster with a probability of {config.confidence} "
                    f"among {config.agreement:.0%} of its neighbours: lower --semi.confidence or "
                    "--semi.agreement, or leave the stage out (--semi.epochs 0)"
                )
            self._buffer("reliable").copy_(found)
        self._buffer("epoch").fill_(epoch)
        return ()

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns shapes as they are, in a random view, and views of as many reliable ones."""
        assert isinstance(self.shapes, PointDataset)
        keys = (self.config.seed, epoch, step)
        points = self.shapes.batch(rows)
        strong = self.augment(points, seeded_generator(*keys))
        taught = self.shapes.batch(self._taught(epoch)[rows])
        return torch.stack([points, strong, self.augment(taught, seeded_generator(*keys, 1))], 1)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the cross-entropy of reliable labels plus FixMatch of the others."""
        scores = self.outputs(model, batch)["cluster"].float()
        weak, strong, taught = scores.unbind(dim=1)
        reliable = self._buffer("reliable")
        rows = self._taught(int(self._buffer("epoch"))).to(reliable.device)[batch.indices]
        supervised = F.cross_entropy(taught, reliable[rows])
        unsupervised, sure = fixmatch(weak, strong, self.config.threshold)
        return {"loss": supervised + unsupervised, "supervised": supervised, "sure": sure}

    def _taught(self, epoch: int) -> Tensor:
        """Returns ``(N,)``, the reliable shape that is seen beside each shape in an epoch."""
        rows = (self._buffer("reliable").cpu() != NOT_RELIABLE).nonzero()[:, 0]
        generator = seeded_generator(self.config.seed, epoch, 0, 0, TAUGHT)
        count = len(self.shapes)
        rounds = -(-count // len(rows))
        orders = [torch.randperm(len(rows), generator=generator) for _ in range(rounds)]
        return rows[torch.cat(orders)[:count]]


def reliable_labels(
    probabilities: Tensor, features: Tensor, neighbors: int, agreement: float, confidence: float
) -> Tensor:
    """Returns the cluster of each shape whose neighbourhood is sure of it, -1 for the others.

    Args:
        probabilities: ``(N, K)`` how likely shapes belong to each cluster.
        features: ``(N, C)``, compared by the cosine.
        neighbors: of each shape, itself among them; fewer where there are fewer shapes.
        agreement: the least fraction of them that share the shape's cluster.
        confidence: the probability that the shape's cluster must exceed.

    Returns:
        ``(N,)`` int64. Every cluster keeps as many as the smallest that has any, the surest.

    Source: Niu et al. (2022), semantic consistency of reliable labels; the smallest cluster that is
    not empty, where the official code takes the smallest.

    Example:
        >>> import torch
        >>> p = torch.tensor([[1.0, 0], [1, 0], [0, 1], [0.6, 0.4]])
        >>> features = torch.tensor([[1.0, 0], [1, 0.1], [0, 1], [0.9, 0.1]])
        >>> reliable_labels(p, features, 1, 1.0, 0.9).tolist()
        [0, -1, 1, -1]
    """
    sure, clusters = probabilities.max(dim=1)
    near = knn(F.normalize(features, dim=1), min(neighbors, len(features))).indices
    alike = (clusters[near] == clusters[:, None]).float().mean(dim=1)
    reliable = (alike >= agreement) & (sure > confidence)
    sizes = clusters[reliable].bincount(minlength=probabilities.shape[1])
    labels = torch.full_like(clusters, NOT_RELIABLE)
    if not bool(reliable.any()):
        return labels
    keep = int(sizes[sizes > 0].min())
    for cluster in sizes.nonzero()[:, 0].tolist():
        members = (reliable & (clusters == cluster)).nonzero()[:, 0]
        surest = sure[members].argsort(descending=True, stable=True)[:keep]
        labels[members[surest]] = cluster
    return labels
