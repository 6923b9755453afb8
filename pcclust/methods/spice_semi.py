"""SPICE-Semi: shapes whose neighbourhoods agree teach the whole network, by FixMatch."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.data import PointDataset
from pcclust.data.seeding import seeded_generator
from pcclust.losses import fixmatch
from pcclust.methods.base import SILENT, DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.encoders import Encoder
from pcclust.methods.scan import head_before
from pcclust.methods.stages import Previous, Shapes
from pcclust.methods.unlabelled import encode_shapes
from pcclust.methods.views import StageFields
from pcclust.ops import knn
from pcclust.training import Progress

NOT_RELIABLE = -1
TAUGHT, OTHERS = 3, 4  # uses of the seed


@dataclass(frozen=True, kw_only=True)
class SPICESemiConfig(StageFields, DeepClusteringConfig):
    """Which labels are reliable, and how they are learned.

    Attributes:
        neighbors: of a shape, itself among them, whose clusters are compared; at most half as many
            as a cluster has shapes in the mean, since no neighbourhood is larger than its cluster.
        agreement: the least fraction of them that share its cluster.
        confidence: the least probability of its cluster.
        threshold: of the likeliest cluster of other shapes, from which on it is learned.
        unlabelled_ratio: other shapes that a step sees beside each reliable one; fewer where there
            are fewer shapes than a step needs.
        momentum: by how much the average of the weights, which is saved, stays at each step; less
            in the first steps, while they are hardly more than where it began.
        batch_size: reliable shapes of a step, in all processes together.
    """

    neighbors: int = 100
    agreement: float = 0.9
    confidence: float = 0.99
    threshold: float = 0.95
    unlabelled_ratio: int = 7
    momentum: float = 0.999
    epochs: int = 20
    batch_size: int = 8
    learning_rate: float | None = 1e-4

    method: ClassVar[str] = "spice-semi"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("neighbors", "unlabelled_ratio"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        for name in ("agreement", "confidence", "threshold"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name}={getattr(self, name)} must be in [0, 1]")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum} must be in [0, 1)")


class SPICESemi(DeepClustering):
    """Learns reliable labels of the stage before, and what the network is sure of beside them.

    A shape is reliable where it and its neighbourhood are sure of one cluster; every cluster then
    keeps as many as the smallest that has any. (With the official code one cluster without a
    reliable shape takes the labels of all.) A step sees several other shapes beside each reliable
    one; what is saved is the moving average of encoder and head, BatchNorm's statistics too.

    Source: Niu et al., "SPICE: Semantic Pseudo-Labeling for Image Clustering" (2022); Sohn et al.,
    "FixMatch" (2020).
    """

    config: SPICESemiConfig
    collapse_advice: ClassVar[str] = "leave this stage out (--semi.epochs 0)"

    def __init__(self, config: SPICESemiConfig, shapes: Shapes, previous: Previous) -> None:
        super().__init__(config, shapes, previous)
        size = min(config.batch_size, len(shapes))
        self.ratio = min(config.unlabelled_ratio, max(len(shapes) // size, 1))
        self.steps_per_epoch = len(shapes) // (self.config.batch_size * self.ratio)

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the head of the stage before, and the averages that follow it and the encoder."""
        head = head_before(self.previous)
        return {
            "online": head,
            "cluster": copy.deepcopy(head).requires_grad_(False),
            "encoder": copy.deepcopy(self.encoder.network).requires_grad_(False),
        }

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the reliable label of each shape, -1 for none, the epoch and the steps made."""
        return {
            "reliable": torch.full((len(self.shapes),), NOT_RELIABLE),
            "epoch": torch.zeros((), dtype=torch.int64),
            "steps": torch.zeros((), dtype=torch.int64),
        }

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Finds the reliable labels before the first epoch.

        Raises:
            ValueError: no shape is reliable.
        """
        if epoch == 0:
            config, features = self.config, self.features(progress)
            half = max(len(features) // (2 * config.num_clusters), 1)
            neighbors = min(config.neighbors, half)
            found = reliable_labels(
                self.assignments(), features, neighbors, config.agreement, config.confidence
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
        """Returns shapes as they are, in a random view each, and the view of a reliable one.

        Args:
            rows: ``(B,)`` places in the epoch, each of a reliable shape and R others.
            epoch: from 0.
            step: of the epoch, from 0.

        Returns:
            ``(B, R + R + 1, P, 3)``.
        """
        assert isinstance(self.shapes, PointDataset)
        keys = (self.config.seed, epoch, step)
        taught, others = self._seen(epoch)
        points = self.read(self.shapes, others[rows].flatten())
        strong = self.augment(points, seeded_generator(*keys))
        reliable = self.augment(self.read(self.shapes, taught[rows]), seeded_generator(*keys, 1))
        beside = (each.view(len(rows), self.ratio, *each.shape[1:]) for each in (points, strong))
        return torch.cat([*beside, reliable[:, None]], dim=1)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the cross-entropy of reliable labels plus FixMatch of the others."""
        scores = self.outputs(model, batch, ["online"])["online"].float()
        weak, strong = (part.flatten(0, 1) for part in scores[:, :-1].chunk(2, dim=1))
        reliable = self._buffer("reliable")
        taught, _ = self._seen(int(self._buffer("epoch")))
        rows = taught.to(reliable.device)[batch.indices]
        supervised = F.cross_entropy(scores[:, -1], reliable[rows])
        unsupervised, sure = fixmatch(weak, strong, self.config.threshold)
        return {"loss": supervised + unsupervised, "supervised": supervised, "sure": sure}

    @torch.no_grad()
    def after_step(self) -> None:
        """Moves the averages towards what learns."""
        steps = int(self._buffer("steps").add_(1))
        kept = min(self.config.momentum, steps / (steps + 9))
        heads = self.model.heads
        pairs = ((heads["cluster"], heads["online"]), (heads["encoder"], self.model.encoder))
        for slow, fast in pairs:
            own = slow.state_dict()
            for name, value in fast.state_dict().items():
                if value.is_floating_point():
                    own[name].lerp_(value, 1 - kept)
                else:
                    own[name].copy_(value)

    def features(self, progress: Progress = SILENT) -> Tensor:
        """Returns the features ``(N, C)`` of all shapes by the average of the encoder."""
        if self._features is None:
            assert isinstance(self.shapes, PointDataset)
            encoder = self.model.heads["encoder"]
            self._features = encode_shapes(encoder, self.shapes, progress=progress)
        return self._features

    def _saved_encoder(self) -> Encoder:
        return replace(self.encoder, network=self.model.heads["encoder"])

    def _seen(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Returns the reliable shape ``(G,)`` of each place in an epoch, and others ``(G, R)``."""
        others = torch.randperm(
            len(self.shapes), generator=seeded_generator(self.config.seed, epoch, 0, 0, OTHERS)
        )
        places = self.steps_per_epoch * self.config.batch_size
        rows = (self._buffer("reliable").cpu() != NOT_RELIABLE).nonzero()[:, 0]
        generator = seeded_generator(self.config.seed, epoch, 0, 0, TAUGHT)
        rounds = -(-places // len(rows))
        orders = [torch.randperm(len(rows), generator=generator) for _ in range(rounds)]
        taught = rows[torch.cat(orders)[:places]]
        return taught, others[: places * self.ratio].view(places, self.ratio)

    def order(self, epoch: int) -> Tensor:
        """Returns the places of an epoch; `_seen` says what is seen there."""
        return torch.arange(self.steps_per_epoch * self.config.batch_size)


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
