"""HTCN: two streams that learn and one that follows, compared as shapes and as clusters."""

import copy
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from pcclust.data import PointDataset
from pcclust.losses import byol, cluster_contrast
from pcclust.methods.base import SILENT, DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.encoders import Encoder
from pcclust.methods.stages import Recipe, Stage
from pcclust.methods.unlabelled import encode_shapes
from pcclust.nn.cluster_heads import ProjectedHead
from pcclust.nn.projector import Projector
from pcclust.training import Progress

# Which view of the streams that learn meets which view of the one that follows.
PAIRS = ((0, 2), (2, 0), (1, 2), (2, 1))


@dataclass(frozen=True, kw_only=True)
class HTCNConfig(DeepClusteringConfig):
    """How the streams are built.

    Attributes:
        hidden: channels inside projector and predictor; 4,096 in the official code.
        projection: channels of the projection.
        momentum: by how much the weights that follow stay as they are at each step.
        temperature: of the contrast of clusters.
    """

    hidden: int = 1024
    projection: int = 256
    momentum: float = 0.99
    temperature: float = 1.0
    epochs: int = 60
    batch_size: int = 128

    method: ClassVar[str] = "htcn"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("hidden", "projection", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum={self.momentum} must be in [0, 1)")


class Streams(NamedTuple):
    """What streams say of shapes: a projection or the prediction of one, and assignments."""

    projected: Tensor
    assigned: Tensor


class Online(nn.Module):
    """Projects features, predicts another projection from it, and scores clusters."""

    def __init__(self, head: ProjectedHead, hidden: int, projection: int) -> None:
        super().__init__()
        self.head = head
        self.predictor = Projector(projection, hidden, projection, norm=True)

    def forward(self, features: Tensor) -> Streams:
        """Returns predictions ``(B, D)`` and assignments ``(B, K)``."""
        projected = self.head.projector(features)
        scores = self.head.scores(projected)
        return Streams(self.predictor(projected), scores.float().softmax(dim=1))


class HTCN(DeepClustering):
    """Two views learn to predict a slow network's projection and clusters of a third.

    Encoder, projector and cluster head that follow are moving averages of those that learn, at each
    step; clusters are theirs. The loss is the sum of four terms of BYOL and the mean of four
    contrasts of clusters: views 1 and 3, 3 and 1, 2 and 3, 3 and 2.

    As in the official code the network that follows runs in training mode, with running statistics
    of BatchNorm of its own, and gets no gradient, its entropy neither.

    Source: Deng et al., "Heterogeneous Tri-stream Clustering Network" (2022).
    """

    config: HTCNConfig
    num_views: ClassVar[int] = 3

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns what learns beside the encoder, and what follows."""
        config = self.config
        head = ProjectedHead(width, config.num_clusters, config.hidden, config.projection)
        return {
            "online": Online(head, config.hidden, config.projection),
            "cluster": copy.deepcopy(head).requires_grad_(False),
            "encoder": copy.deepcopy(self.encoder.network).requires_grad_(False),
        }

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the sum of both losses, and each."""
        out: dict[str, Streams] = model(batch.points.flatten(0, 1), ["online"])
        learning = self._by_view(out["online"], batch)
        following = self._by_view(self._followed(batch.points.flatten(0, 1)), batch)
        alike, clusters = [], []
        for one, other in PAIRS:
            alike.append(byol(learning.projected[:, one], following.projected[:, other]))
            p1, p2 = learning.assigned[:, one], following.assigned[:, other]
            clusters.append(cluster_contrast(p1, p2, self.config.temperature))
        instances, contrast = torch.stack(alike).sum(), torch.stack(clusters).mean()
        return {"loss": instances + contrast, "instances": instances, "clusters": contrast}

    @torch.no_grad()
    def after_step(self) -> None:
        """Moves what follows towards what learns."""
        heads = self.model.heads
        online = heads["online"]
        assert isinstance(online, Online)
        pairs = ((heads["cluster"], online.head), (heads["encoder"], self.model.encoder))
        for slow, fast in pairs:
            for average, value in zip(slow.parameters(), fast.parameters(), strict=True):
                average.lerp_(value, 1 - self.config.momentum)

    def features(self, progress: Progress = SILENT) -> Tensor:
        """Returns the features ``(N, C)`` of all shapes by the encoder that follows."""
        if self._features is None:
            assert isinstance(self.shapes, PointDataset)
            encoder = self.model.heads["encoder"]
            self._features = encode_shapes(encoder, self.shapes, progress=progress)
        return self._features

    def _saved_encoder(self) -> Encoder:
        return replace(self.encoder, network=self.model.heads["encoder"])

    @torch.no_grad()
    def _followed(self, points: Tensor) -> Streams:
        head = self.model.heads["cluster"]
        assert isinstance(head, ProjectedHead)
        projected = head.projector(self.model.heads["encoder"](points))
        return Streams(projected, head.scores(projected).float().softmax(dim=1))

    def _by_view(self, streams: Streams, batch: Views) -> Streams:
        shape = batch.points.shape[:2]
        return Streams(*(value.view(*shape, -1) for value in streams))


def stages(config: HTCNConfig, shapes: object) -> list[Stage]:
    """Returns the only stage."""
    return [Stage("htcn", lambda *given: HTCN(config, *given), config.epochs)]


RECIPE = Recipe(
    about="""Compares three views by a network that learns and one that follows it (HTCN).

    Views predict each other's projections, as in BYOL, and agree on clusters.
    """,
    config=HTCNConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"model": "clusternet"},
        "deng2022": {
            "hidden": 4096, "batch_size": 128, "epochs": 1000, "learning_rate": 3e-4,
            "weight_decay": 0.0, "schedule": "constant",
        },
    },
)  # fmt: skip
