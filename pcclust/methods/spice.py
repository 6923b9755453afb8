"""SPICE: prototypes of sure shapes label their neighbours, on frozen features; then FixMatch."""

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tyro.conf import Suppress, arg

from pcclust.data import PointDataset
from pcclust.data.seeding import seeded_generator
from pcclust.losses import double_softmax
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.features import FeatureSet
from pcclust.methods.spice_semi import SPICESemi, SPICESemiConfig
from pcclust.methods.stages import (
    Previous,
    Recipe,
    Shapes,
    Stage,
    features_first,
    features_of,
    of_stage,
)
from pcclust.methods.strong_views import EncodeViews
from pcclust.methods.unlabelled import absorb_scaling, mean_and_scale
from pcclust.nn.cluster_head import ClusterHead
from pcclust.nn.cluster_heads import MLPHead
from pcclust.training import Progress
from pcclust.training.processes import mean_of_processes

SAMPLE = 3  # a use of the seed
STRONG = "strong_views"


@dataclass(frozen=True, kw_only=True)
class SPICEConfig(DeepClusteringConfig):
    """How prototypes are made and heads learn.

    Attributes:
        heads: how many learn beside each other; the one of lowest loss is saved.
        samples: shapes of an expectation step; all where there are fewer. (The official code then
            trains nothing, and does not say so.)
        center_ratio: of the shapes that a cluster would have by equal sizes, the fraction of surest
            ones whose mean is its prototype.
        repeats: how often the labels of an expectation step are learned.
        strong_views: random views of each shape, encoded once, in which labels are learned; 0 where
            DATA are features, which are then learned as they are.
    """

    heads: int = 10
    samples: int = 5000
    center_ratio: float = 0.5
    repeats: int = 8
    strong_views: int = 4
    epochs: int = 100
    batch_size: int = 128
    learning_rate: float | None = 0.005
    weight_decay: float | None = 0.0

    method: ClassVar[str] = "spice"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("heads", "samples", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if not 0 < self.center_ratio <= 1:
            raise ValueError(f"center_ratio={self.center_ratio} must be above 0 and at most 1")
        if self.strong_views < 0:
            raise ValueError(f"strong_views={self.strong_views} must not be negative")


@dataclass(frozen=True, kw_only=True)
class SemiStageConfig(SPICESemiConfig):
    """How sure neighbourhoods teach the whole network."""

    num_clusters: Suppress[int] = 2
    init: Suppress[str | None] = None


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """The settings of all stages.

    Attributes:
        spice: of the stage on frozen features. Data, points, up axis, seed, precision, workers and
            logging are those of all stages.
        semi: of the stage that trains the whole network afterwards; 0 epochs leave it out, and it
            is left out for features.
    """

    spice: Annotated[SPICEConfig, arg(name="")]
    semi: SemiStageConfig = field(default_factory=SemiStageConfig)

    method: ClassVar[str] = "spice"


class Students(nn.Module):
    """Heads that each look at rows of their own."""

    def __init__(self, heads: nn.ModuleList) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, features: Tensor) -> Tensor:
        """Returns scores ``(H, B, K)`` of features ``(H · B, C)``, B rows for each head."""
        rows = features.chunk(len(self.heads))
        return torch.stack([head(some) for head, some in zip(self.heads, rows, strict=True)])


class SPICE(DeepClustering):
    """SPICE-Self: an expectation step labels shapes by prototypes, a maximisation step learns them.

    Before each epoch a cluster's prototype is the mean of the features of the shapes that a head is
    surest of, and the shapes nearest to it get its label: each cluster as many, so a shape may have
    several labels or none. The heads then learn these by a cross-entropy of two softmaxes. Clusters
    are those of the head with the lowest mean loss over the epoch; no label of the data is read.
    Features are centred and of length one in the mean, which those of the paper are by themselves.

    Source: Niu et al., "SPICE: Semantic Pseudo-Labeling for Image Clustering" (2022).
    """

    config: SPICEConfig
    shapes: FeatureSet
    num_views: ClassVar[int] = 0
    collapse_advice: ClassVar[str] = "raise --center-ratio, or give other features"

    def __init__(self, config: SPICEConfig, shapes: FeatureSet, previous: Previous) -> None:
        # Far from the origin, as encoders have them, all prototypes would point the same way.
        self._mean, self._scale = mean_and_scale(shapes.features)
        shapes = replace(shapes, features=self._evened(shapes.features))
        super().__init__(config, shapes, previous)
        learned = self.config.repeats * self._each() * self.config.num_clusters
        self.steps_per_epoch = max(1, learned // self.config.batch_size)

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the heads that learn, and the one that is saved."""
        heads = [MLPHead(width, self.config.num_clusters, 512) for _ in range(self.config.heads)]
        saved = MLPHead(width, self.config.num_clusters, 512).requires_grad_(False)
        return {"students": Students(nn.ModuleList(heads)), "cluster": saved}

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the labelled shapes of each head, and its loss over the epoch so far."""
        heads, pairs = self.config.heads, self._each() * self.config.num_clusters
        return {
            "rows": torch.zeros(heads, pairs, dtype=torch.int64),
            "losses": torch.zeros(heads, dtype=torch.float64),
        }

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Labels the shapes anew: the expectation step."""
        generator = seeded_generator(self.config.seed, epoch, 0, 0, SAMPLE)
        drawn = torch.randperm(len(self.shapes), generator=generator)[: self._samples()]
        features = self.shapes.features[drawn].to(self._buffer("rows").device)
        for number, head in enumerate(self._students):
            sure = head(features).softmax(dim=1)
            near = labelled_rows(sure, F.normalize(features, dim=1), self._each(), self._surest())
            self._buffer("rows")[number] = drawn.to(near)[near.flatten()]
        self._buffer("losses").zero_()
        return ()

    def order(self, epoch: int) -> Tensor:
        """Returns places among the labelled shapes, each as often as they are repeated."""
        pairs = self._each() * self.config.num_clusters
        generator = seeded_generator(self.config.seed, epoch)
        orders = [torch.randperm(pairs, generator=generator) for _ in range(self.config.repeats)]
        return torch.cat(orders)

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns features of the labelled shapes of each head, ``(B, H, C)``, in strong views."""
        places = self._buffer("rows").cpu()[:, rows]
        bank = self._strong()
        if bank is None:
            return self.shapes.features[places].transpose(0, 1)
        generator = seeded_generator(self.config.seed, epoch, step)
        drawn = torch.randint(len(bank), places.shape, generator=generator)
        return bank[drawn, places].transpose(0, 1)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the mean loss of all heads, and the lowest."""
        by_head = batch.points.transpose(0, 1)
        scores: Tensor = model(by_head.flatten(0, 1), ["students"])["students"]
        labels = batch.indices // self._each()
        losses = torch.stack([double_softmax(of_head, labels) for of_head in scores])
        self._buffer("losses").add_(mean_of_processes(losses.detach()))
        return {"loss": losses.mean(), "lowest": losses.min()}

    def evaluate(self) -> dict[str, float]:
        """Takes the head with the lowest loss of the epoch, and measures its clusters."""
        best = int(self._buffer("losses").argmin())
        self.model.heads["cluster"].load_state_dict(self._students[best].state_dict())
        return super().evaluate() | {"head": float(best)}

    def _evened(self, features: Tensor) -> Tensor:
        return ((features.double() - self._mean) / self._scale).to(features.dtype)

    def _saved_head(self) -> ClusterHead:
        """Returns the head of features as they were given."""
        head = copy.deepcopy(super()._saved_head())
        assert isinstance(head, MLPHead)
        first = head.layers[0]
        assert isinstance(first, nn.Linear)
        absorb_scaling(first, self._mean, self._scale)
        return head

    def _samples(self) -> int:
        return min(self.config.samples, len(self.shapes))

    def _each(self) -> int:
        """How many shapes each cluster labels."""
        return max(1, self._samples() // self.config.num_clusters)

    def _surest(self) -> int:
        """How many shapes make a prototype."""
        ratio = self.config.center_ratio * self._samples() / self.config.num_clusters
        return max(1, int(ratio))

    def _strong(self) -> Tensor | None:
        found: dict[str, Any] = dict(self.previous.results)
        if STRONG not in found:
            return None
        features = self._evened(found[STRONG].features)
        return features.view(-1, len(self.shapes), features.shape[1])

    @property
    def _students(self) -> nn.ModuleList:
        students = self.model.heads["students"]
        assert isinstance(students, Students)
        return students.heads


def labelled_rows(sure: Tensor, features: Tensor, each: int, surest: int) -> Tensor:
    """Returns the rows that each cluster labels, nearest to its prototype first.

    Args:
        sure: ``(M, K)`` how likely shapes belong to each cluster.
        features: ``(M, C)`` of length one.
        each: how many rows a cluster labels.
        surest: how many make its prototype.

    Returns:
        ``(K, each)`` int64.

    Source: Niu et al. (2022), the expectation step.

    Example:
        >>> import torch
        >>> sure = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
        >>> features = torch.nn.functional.normalize(torch.tensor([[1.0, 0], [0, 1], [1, 0.1]]))
        >>> labelled_rows(sure, features, 2, 1).tolist()
        [[0, 2], [1, 2]]
    """
    rows = sure.topk(min(surest, len(sure)), dim=0).indices
    prototypes = F.normalize(features[rows].mean(dim=0), dim=1)
    return (features @ prototypes.T).topk(each, dim=0).indices.T


def stages(config: StagesConfig, shapes: Shapes) -> list[Stage]:
    """Returns the features, unless they are given, SPICE-Self and SPICE-Semi."""
    first = config.spice
    made = features_first(first, first.init, shapes)
    if isinstance(shapes, PointDataset) and first.strong_views:
        assert first.init is not None
        weights = first.init
        count = first.strong_views
        made.append(Stage(STRONG, lambda *_: EncodeViews(first, shapes, weights, count)))

    def heads(given: Shapes, previous: Previous) -> SPICE:
        return SPICE(first, features_of(given, previous), previous)

    made.append(Stage("spice", heads, first.epochs))
    if isinstance(shapes, PointDataset) and config.semi.epochs:
        after = of_stage(first, config.semi, 1, num_clusters=first.num_clusters)
        made.append(Stage("semi", lambda *given: SPICESemi(after, *given), after.epochs))
    return made


RECIPE = Recipe(
    about="""Labels the neighbours of prototypes of frozen features, trains on them (SPICE).

    DATA is a file of features by pcclust embed, or shapes beside --init WEIGHTS.
    """,
    config=StagesConfig,
    stages=stages,
    presets={"niu2022": {"spice": {"schedule": "constant"}}},
    data=lambda config: config.spice,
)
