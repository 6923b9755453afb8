"""SCAN: neighbours of a pretext's features share clusters, and sure shapes teach the rest."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tyro.conf import Suppress, arg

from pcclust.data import PointDataset
from pcclust.data.seeding import seeded_generator
from pcclust.losses import scan, self_label
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.features import FeatureSet
from pcclust.methods.simclr import SimCLR, SimCLRConfig
from pcclust.methods.stages import Previous, Recipe, Shapes, Stage, of_stage
from pcclust.methods.views import StageFields
from pcclust.nn import Clusterer
from pcclust.nn.cluster_head import ClusterHead
from pcclust.nn.cluster_heads import LinearHead
from pcclust.ops import knn
from pcclust.training import Progress


@dataclass(frozen=True, kw_only=True)
class SCANConfig(DeepClusteringConfig):
    """How neighbours are drawn together.

    Attributes:
        neighbors: of each shape, by the cosine of its features; fewer where there are fewer shapes.
        entropy_weight: of even cluster sizes.
        least_steps: of the whole training on given features, where a step takes milliseconds: few
            shapes make few batches, which leave the head where it began. Each epoch then sees every
            shape several times.
    """

    neighbors: int = 20
    entropy_weight: float = 5.0
    least_steps: int = 2000
    epochs: int = 50
    batch_size: int = 128
    learning_rate: float | None = 1e-4
    weight_decay: float | None = 1e-4

    method: ClassVar[str] = "scan"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbors < 1:
            raise ValueError(f"neighbors={self.neighbors} must be positive")
        for name in ("entropy_weight", "least_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")


@dataclass(frozen=True, kw_only=True)
class PretextStageConfig(StageFields, SimCLRConfig):
    """How the encoder is trained before; 0 epochs leave it as it is."""

    init: Suppress[str | None] = None


@dataclass(frozen=True, kw_only=True)
class SelfLabelConfig(StageFields, DeepClusteringConfig):
    """How sure shapes teach the rest afterwards.

    Attributes:
        threshold: the least probability of a shape that is sure.
        num_clusters: of the method.
    """

    threshold: float = 0.99
    epochs: int = 50
    batch_size: int = 256
    learning_rate: float | None = 1e-4
    weight_decay: float | None = 1e-4
    num_clusters: Suppress[int] = 2
    init: Suppress[str | None] = None

    method: ClassVar[str] = "self-label"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.threshold < 1:
            raise ValueError(f"threshold={self.threshold} must be in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """The settings of all stages.

    Attributes:
        scan: of the stage that finds the clusters. Data, points, up axis, model, seed, precision,
            workers and logging are those of all stages.
        pretext: of the stage before, which is left out where --init brings an encoder, or DATA are
            features.
        self_label: of the stage after, which is left out for features.
    """

    scan: Annotated[SCANConfig, arg(name="")]
    pretext: PretextStageConfig = field(default_factory=PretextStageConfig)
    self_label: SelfLabelConfig = field(default_factory=SelfLabelConfig)

    method: ClassVar[str] = "scan"


class SCAN(DeepClustering):
    """Puts a shape and a random neighbour into one cluster, with certainty, and evens the sizes.

    Neighbours are those of the features at the start, the shape itself among them, as in the
    official code; both are seen through the same random transform. The encoder is trained as well,
    unless features are given.

    Known to fail where classes are many and of unlike size: look at k-means on the same features
    beside it.

    Source: Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels" (2020).
    """

    config: SCANConfig
    takes_features: ClassVar[bool] = True
    collapse_advice: ClassVar[str] = "raise --entropy-weight, or train the encoder longer before"

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns a linear head."""
        return {"cluster": LinearHead(width, self.config.num_clusters)}

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the neighbours, themselves first."""
        count = min(self.config.neighbors + 1, len(self.shapes))
        return {"neighbors": torch.zeros(len(self.shapes), count, dtype=torch.int64)}

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Finds the neighbours before the first epoch."""
        if epoch == 0:
            neighbors = self._buffer("neighbors")
            rows = F.normalize(self.features(progress), dim=1)
            others = knn(rows, neighbors.shape[1] - 1, exclude_self=True).indices
            itself = torch.arange(len(rows))[:, None]
            neighbors.copy_(torch.cat([itself, others], dim=1))
        return ()

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns shapes and a neighbour of each, ``(B, 2, P, 3)``, or features ``(B, 2, C)``."""
        neighbors = self._buffer("neighbors").cpu()[rows]
        keys = (self.config.seed, epoch, step)
        size = (len(rows), 1)
        drawn = torch.randint(neighbors.shape[1], size, generator=seeded_generator(*keys, 2))
        pair = (rows, neighbors.gather(1, drawn)[:, 0])
        if isinstance(self.shapes, FeatureSet):
            return torch.stack([self.shapes.features[of] for of in pair], dim=1)
        shapes = self.shapes
        return torch.stack(
            [self.augment(self.read(shapes, of), seeded_generator(*keys)) for of in pair], dim=1
        )

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the loss of the pairs."""
        scores = model(batch.points.flatten(0, 1))["cluster"].unflatten(0, (-1, 2))
        return {"loss": scan(scores[:, 0], scores[:, 1], self.config.entropy_weight)}

    def _least_steps(self) -> int:
        return self.config.least_steps if isinstance(self.shapes, FeatureSet) else 0


class SelfLabel(DeepClustering):
    """Teaches distorted views of shapes the clusters that the plain ones are sure of.

    Every cluster has the same weight. Where no shape of a batch is sure, the step teaches nothing;
    the fraction that is sure is in the log.

    Source: Van Gansbeke et al., "SCAN: Learning to Classify Images without Labels" (2020).
    """

    config: SelfLabelConfig
    collapse_advice: ClassVar[str] = "train the stage before longer, or leave this one out"

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the head of the stage before."""
        return {"cluster": head_before(self.previous)}

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns shapes as they are, and one random view of each."""
        assert isinstance(self.shapes, PointDataset)
        points = self.read(self.shapes, rows)
        distorted = self.augment(points, seeded_generator(self.config.seed, epoch, step))
        return torch.stack([points, distorted], dim=1)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the loss of the sure shapes, and their fraction."""
        weak, strong = self.outputs(model, batch)["cluster"].unbind(dim=1)
        loss, sure = self_label(weak, strong, self.config.threshold)
        return {"loss": loss, "sure": sure}


def head_before(previous: Previous) -> ClusterHead:
    """Returns the head of the clusters that the stage before has found."""
    clusterer = previous.load()
    assert isinstance(clusterer, Clusterer)
    return clusterer.head


def stages(config: StagesConfig, shapes: Shapes) -> list[Stage]:
    """Returns the stages: pretext, scan and self-label, or scan alone for features."""
    first = config.scan
    middle = Stage("scan", lambda *given: SCAN(first, *given), first.epochs)
    if isinstance(shapes, FeatureSet):
        return [middle]
    encoder = {"model": first.model, "model_kwargs": first.model_kwargs}
    before = of_stage(first, config.pretext, 1, **encoder)
    after = of_stage(first, config.self_label, 2, num_clusters=first.num_clusters, **encoder)
    pretext = Stage("pretext", lambda *given: SimCLR(before, *given), before.epochs)
    last = Stage("self_label", lambda *given: SelfLabel(after, *given), after.epochs)
    return [*([pretext] if first.init is None else []), middle, *([last] if after.epochs else [])]


RECIPE = Recipe(
    about="""Clusters by what shapes and their nearest neighbours share (SCAN).

    SimCLR trains an encoder, its nearest neighbours are put into the same clusters, and shapes that
    are sure of theirs teach the rest.
    """,
    config=StagesConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"scan": {"model": "clusternet"}},
        "vangansbeke2020": {
            "pretext": {"temperature": 0.1, "epochs": 500, "batch_size": 512},
            "scan": {"schedule": "constant"},
            "self_label": {"schedule": "constant", "epochs": 200, "batch_size": 1000},
        },
    },
    data=lambda config: config.scan,
)
