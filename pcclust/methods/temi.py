"""TEMI: heads on frozen features learn that neighbours share clusters."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.cluster import PCAWhitening
from pcclust.data.seeding import seeded_generator
from pcclust.losses import weighted_pmi
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.encoders import Encoder
from pcclust.methods.features import FeatureSet
from pcclust.methods.stages import (
    NOTHING,
    Previous,
    Recipe,
    Shapes,
    Stage,
    features_first,
    features_of,
)
from pcclust.nn.cluster_head import ClusterHead
from pcclust.nn.cluster_heads import PrototypeHead
from pcclust.ops import knn
from pcclust.training import Progress
from pcclust.training.processes import mean_of_processes


@dataclass(frozen=True, kw_only=True)
class TEMIConfig(DeepClusteringConfig):
    """How heads are built and paired.

    Attributes:
        heads: how many learn beside each other; the one of lowest loss is saved.
        hidden: channels of the first layer.
        bottleneck: channels in which clusters have their prototypes.
        components: principal ones that heads learn from, which makes a step as many times faster as
            there are fewer of them than channels; by default all channels, as in the paper.
        neighbors: of which one at random is the other half of a pair; fewer where there are fewer
            shapes.
        temperature: by which scores are divided.
        beta: weight of the mutual information against even sizes; 1 prefers few clusters.
        momentum: by how much teachers stay as they are at each step.
        marginal_momentum: by how much the sizes of clusters do.
        least_steps: of the whole training. Few shapes make few batches, with which neither students
            nor their slow teachers get anywhere; an epoch then sees every shape several times.
    """

    heads: int = 16
    hidden: int = 512
    bottleneck: int = 256
    components: int | None = None
    neighbors: int = 50
    temperature: float = 0.1
    beta: float = 0.6
    momentum: float = 0.996
    marginal_momentum: float = 0.9
    least_steps: int = 2000
    epochs: int = 100
    batch_size: int = 1024
    learning_rate: float | None = 4e-4
    weight_decay: float | None = 1e-4
    warmup_epochs: float = 20.0

    method: ClassVar[str] = "temi"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("heads", "hidden", "bottleneck", "neighbors", "temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if not 0.5 < self.beta <= 1:
            raise ValueError(f"beta={self.beta} must be above 0.5 and at most 1")
        if self.components is not None and self.components < 1:
            raise ValueError(f"components={self.components} must be positive")
        if self.least_steps < 0:
            raise ValueError(f"least_steps={self.least_steps} must not be negative")
        for name in ("momentum", "marginal_momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be in [0, 1)")


class Students(nn.Module):
    """The heads that learn.

    Attributes:
        heads: H of them.
        learn_prototypes: whether their prototypes get a gradient.
    """

    def __init__(self, heads: nn.ModuleList) -> None:
        super().__init__()
        self.heads = heads
        self.learn_prototypes = True

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(H, B, K)`` of features ``(B, C)``."""
        learn = self.learn_prototypes
        return torch.stack([head(features, learn_prototypes=learn) for head in self.heads])


class TEMI(DeepClustering):
    """Learns clusters that neighbours share more often than chance would have them.

    Features stay as they are, standardised by channel. Each step draws shapes and one of the
    nearest of each, by the cosine; student heads learn to agree with slowly following teachers of
    the other half of the pair, and pairs that all teachers put together count more. Clusters are
    those of the teacher whose student had the lowest mean loss over the epoch; no label is read.

    As in the official code, prototypes stay as they are in the first epoch.

    Source: Adaloglou et al., "Exploring the Limits of Deep Image Clustering using Pretrained
    Models" (2023).
    """

    config: TEMIConfig
    shapes: FeatureSet
    num_views: ClassVar[int] = 0
    _mean: Tensor
    _axes: Tensor | None = None
    leaves_parameters_unused: ClassVar[bool] = True
    collapse_advice: ClassVar[str] = "lower --beta, or give other features"

    def __init__(
        self, config: TEMIConfig, shapes: FeatureSet, previous: Previous = NOTHING
    ) -> None:
        self.given = shapes
        components = config.components or shapes.features.shape[1]
        if components < shapes.features.shape[1]:
            whitening = PCAWhitening(components, eps=0).fit(shapes.features)
            self._mean, self._axes = whitening.mean_, whitening.components_
            projected = (shapes.features - self._mean) @ self._axes.T
            shapes = FeatureSet(projected, shapes.sha256)
        super().__init__(config, shapes, previous)

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns students, teachers and the head that is saved."""
        config = self.config
        students = nn.ModuleList(
            PrototypeHead(
                width, config.num_clusters, config.hidden, config.bottleneck, config.temperature
            )
            for _ in range(config.heads)
        )
        deviation, mean = torch.std_mean(self.shapes.features, dim=0, correction=0)
        for student in students:
            assert isinstance(student, PrototypeHead)
            student.standardize(mean, deviation)
        teachers = copy.deepcopy(students).requires_grad_(False)
        saved = copy.deepcopy(teachers[0])
        return {"students": Students(students), "teachers": teachers, "cluster": saved}

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns neighbours, sizes of clusters, losses of the epoch so far, and the epoch."""
        config = self.config
        count = min(config.neighbors, len(self.shapes) - 1)
        return {
            "neighbors": torch.zeros(len(self.shapes), count, dtype=torch.int64),
            "marginal": torch.full((config.heads, config.num_clusters), 1 / config.num_clusters),
            "losses": torch.zeros(config.heads, dtype=torch.float64),
            "epoch": torch.zeros((), dtype=torch.int64),
        }

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Finds the neighbours before the first epoch, and begins to count losses anew."""
        if epoch == 0:
            rows = F.normalize(self.shapes.features, dim=1)
            self._buffer("neighbors").copy_(
                knn(rows, self._buffer("neighbors").shape[1], exclude_self=True).indices
            )
        self._buffer("losses").zero_()
        self._buffer("epoch").fill_(epoch)
        return ()

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns features of shapes and of a random neighbour of each, ``(B, 2, C)``."""
        neighbors = self._buffer("neighbors").cpu()[rows]
        generator = seeded_generator(self.config.seed, epoch, step)
        drawn = torch.randint(neighbors.shape[1], (len(rows), 1), generator=generator)
        others = neighbors.gather(1, drawn)[:, 0]
        return torch.stack([self.shapes.features[rows], self.shapes.features[others]], dim=1)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the mean loss of all heads, and the lowest."""
        pairs = batch.points.transpose(0, 1).flatten(0, 1)
        self._students.learn_prototypes = int(self._buffer("epoch")) > 0
        students = _both(model(pairs, ["students"])["students"])
        with torch.no_grad():
            teachers = _both(torch.stack([teacher(pairs) for teacher in self._teachers]))
            sizes = mean_of_processes(teachers.softmax(dim=3).mean(dim=(0, 2)))
            self._buffer("marginal").lerp_(sizes, 1 - self.config.marginal_momentum)
        losses = weighted_pmi(students, teachers, self._buffer("marginal"), self.config.beta)
        self._buffer("losses").add_(mean_of_processes(losses.detach()))
        return {"loss": losses.mean(), "lowest": losses.min()}

    @torch.no_grad()
    def after_step(self) -> None:
        """Moves teachers towards students."""
        students = self._students.heads.parameters()
        for average, value in zip(self._teachers.parameters(), students, strict=True):
            average.lerp_(value, 1 - self.config.momentum)

    def evaluate(self) -> dict[str, float]:
        """Takes the teacher of the student with the lowest loss of the epoch, and measures it."""
        best = int(self._buffer("losses").argmin())
        self.model.heads["cluster"].load_state_dict(self._teachers[best].state_dict())
        return super().evaluate() | {"head": float(best)}

    def _least_steps(self) -> int:
        return self.config.least_steps

    def _saved_head(self) -> ClusterHead:
        head = super()._saved_head()
        assert isinstance(head, PrototypeHead)
        return head if self._axes is None else head.of_wider(self._mean, self._axes)

    def _saved_encoder(self) -> Encoder:
        return self.given.encoder or Encoder.of_features(self.given)

    @property
    def _students(self) -> Students:
        students = self.model.heads["students"]
        assert isinstance(students, Students)
        return students

    @property
    def _teachers(self) -> nn.ModuleList:
        teachers = self.model.heads["teachers"]
        assert isinstance(teachers, nn.ModuleList)
        return teachers


def _both(scores: Tensor) -> Tensor:
    """Returns scores ``(H, 2B, K)`` of both halves of the pairs as ``(2, H, B, K)``."""
    return torch.stack(scores.chunk(2, dim=1))


def stages(config: TEMIConfig, shapes: Shapes) -> list[Stage]:
    """Returns the stage of the features, if they are to be made, and that of the heads."""
    first = features_first(config, config.init, shapes)
    heads = Stage(
        "temi", lambda given, previous: TEMI(config, features_of(given, previous)), config.epochs
    )
    return [*first, heads]


RECIPE = Recipe(
    about="""Learns clusters on frozen features by mutual information of neighbours (TEMI).

    DATA is a file of features by pcclust embed, or shapes beside --init WEIGHTS.
    """,
    config=TEMIConfig,
    stages=stages,
    presets={
        # A minute of a core where the paper's take hours: fewer, smaller heads on fewer channels.
        "minutes": {
            "heads": 4, "hidden": 256, "bottleneck": 64, "components": 64, "neighbors": 20,
            "batch_size": 256, "epochs": 50, "momentum": 0.99, "schedule": "constant",
        },
        "adaloglou2023": {"schedule": "constant"},
    },
)  # fmt: skip
