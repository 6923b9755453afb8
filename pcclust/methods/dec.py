"""DEC: an embedding and its centers sharpen what they say already."""

import copy
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Annotated, ClassVar, Literal

import torch
from torch import Tensor, nn
from tyro.conf import Suppress, arg

from pcclust.cluster import KMeans, PCAWhitening
from pcclust.data.seeding import seeded_generator
from pcclust.losses import dec, target_distribution
from pcclust.methods.auto_encoder import AutoEncode, AutoEncoderConfig
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.features import FeatureSet
from pcclust.methods.stages import NOTHING, Previous, Recipe, Shapes, Stage, of_stage
from pcclust.methods.unlabelled import absorb_scaling
from pcclust.methods.views import StageFields
from pcclust.nn import AutoEncoder
from pcclust.nn.cluster_head import ClusterHead
from pcclust.nn.cluster_heads import StudentTHead
from pcclust.training import Progress
from pcclust.training.config import Schedule

KMEANS = 2  # a use of the seed


@dataclass(frozen=True, kw_only=True)
class DECConfig(DeepClusteringConfig):
    """When the target is made anew, and when all is done.

    Attributes:
        latent: numbers of the embedding, where no auto-encoder has one.
        alpha: degrees of freedom of Student's t.
        tolerance: it is done when a smaller fraction of shapes than this changes its cluster
            between two targets.
        starts: of k-means, of which the best gives the centers.
    """

    latent: int = 10
    alpha: float = 1.0
    tolerance: float = 0.001
    starts: int = 20
    epochs: int = 50
    batch_size: int = 256
    optimizer: Literal["adamw", "sgd"] = "sgd"
    learning_rate: float | None = 0.01
    weight_decay: float | None = 0.0
    schedule: Schedule = "constant"
    warmup_epochs: float = 0.0

    method: ClassVar[str] = "dec"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("latent", "alpha", "starts"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if not 0 <= self.tolerance < 1:
            raise ValueError(f"tolerance={self.tolerance} must be in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class AutoEncoderStageConfig(StageFields, AutoEncoderConfig):
    """How the embedding is learned before."""

    init: Suppress[str | None] = None


@dataclass(frozen=True, kw_only=True)
class StagesConfig:
    """The settings of both stages.

    Attributes:
        dec: of the stage that clusters. Data, points, up axis, model, seed, precision, workers and
            logging are those of both.
        autoencoder: of the stage before, which is left out where --init brings an encoder, or DATA
            are features.
    """

    dec: Annotated[DECConfig, arg(name="")]
    autoencoder: AutoEncoderStageConfig = field(default_factory=AutoEncoderStageConfig)

    method: ClassVar[str] = "dec"


class DEC(DeepClustering):
    """Moves embedded shapes and centers so that sure assignments become surer.

    The embedding is that of the auto-encoder, or the principal components of the features (our
    choice where there is none); k-means gives the first centers. Before each epoch the target is
    computed of ALL shapes, which many ports do of a batch; within it encoder, embedding and centers
    learn. It ends early when hardly a shape changes its cluster.

    Source: Xie et al., "Unsupervised Deep Embedding for Clustering Analysis" (2016).
    """

    config: DECConfig
    num_views: ClassVar[int] = 1
    takes_features: ClassVar[bool] = True
    collapse_advice: ClassVar[str] = "train the auto-encoder longer, or ask for fewer --clusters"

    def __init__(self, config: DECConfig, shapes: Shapes, previous: Previous = NOTHING) -> None:
        self._mean, self._scale = torch.zeros(()), torch.ones(())
        if isinstance(shapes, FeatureSet):
            # A step moves the embedding by the squared length of features: far from the origin,
            # as encoders have them, all shapes would fly off together.
            self._mean = shapes.features.mean(dim=0)
            centred = shapes.features - self._mean
            self._scale = centred.square().sum(dim=1).mean().sqrt()
            shapes = replace(shapes, features=centred / self._scale)
        super().__init__(config, shapes, previous)

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns embedding and centers."""
        latent = min(self.config.latent, width)
        if (before := embedding_before(self.previous)) is not None:
            latent = before.out_features
        return {"cluster": StudentTHead(width, self.config.num_clusters, latent, self.config.alpha)}

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the target, the clusters when it was made, and how many changed since."""
        size = (len(self.shapes), self.config.num_clusters)
        return {
            "target": torch.zeros(size),
            "labels": torch.zeros(len(self.shapes), dtype=torch.int64),
            "changed": torch.ones((), dtype=torch.float64),
        }

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Finds embedding and centers before the first epoch, and the target before each."""
        if epoch == 0:
            self._initialize(progress)
        q = self.assignments()
        self._buffer("target").copy_(target_distribution(q))
        self._buffer("labels").copy_(q.argmax(dim=1))
        return ()

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns shapes as they are, ``(B, 1, P, 3)``, or features ``(B, 1, C)``."""
        if isinstance(self.shapes, FeatureSet):
            return self.shapes.features[rows, None]
        return self.read(self.shapes, rows)[:, None]

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the divergence from the target."""
        scores = model(batch.points[:, 0], ["cluster"])["cluster"]
        return {"loss": dec(scores, self._buffer("target")[batch.indices])}

    def evaluate(self) -> dict[str, float]:
        """Measures the clusters, and how many shapes changed theirs."""
        measured = super().evaluate()
        changed = (self._buffer("assigned") != self._buffer("labels")).double().mean()
        self._buffer("changed").copy_(changed)
        return measured | {"changed": float(changed)}

    def _saved_head(self) -> ClusterHead:
        """Returns the head of features as they were given."""
        head = copy.deepcopy(super()._saved_head())
        assert isinstance(head, StudentTHead)
        absorb_scaling(head.embedding, self._mean, self._scale)
        return head

    def converged(self) -> bool:
        """Returns whether fewer shapes changed their cluster than the tolerance."""
        return bool(self._buffer("changed") < self.config.tolerance)

    def _initialize(self, progress: Progress) -> None:
        head = self.model.heads["cluster"]
        assert isinstance(head, StudentTHead)
        features = self.features(progress)
        before = embedding_before(self.previous)
        if before is None:
            weight, bias = principal_embedding(features, head.embedding.out_features)
        else:
            weight, bias = before.weight, before.bias
        head.embedding.weight.copy_(weight)
        head.embedding.bias.copy_(bias)
        embedded = head.embedding(features.to(head.centers.device)).cpu()
        generator = seeded_generator(self.config.seed, 0, 0, 0, KMEANS)
        starts = self.config.starts
        kmeans = KMeans(self.config.num_clusters, n_init=starts, random_state=generator)
        head.centers.copy_(kmeans.fit(embedded).cluster_centers_)


def embedding_before(previous: Previous) -> nn.Linear | None:
    """Returns the embedding of the auto-encoder before, if there is one."""
    model = previous.load() if previous.weights is not None else None
    return model.head.embedding if isinstance(model, AutoEncoder) else None


def principal_embedding(features: Tensor, latent: int) -> tuple[Tensor, Tensor]:
    """Returns weight and bias of a linear map to principal components of unit mean variance.

    Args:
        features: ``(N, C)``.
        latent: how many; those that the features do not span are 0.
    """
    whitening = PCAWhitening(latent, eps=0)
    with warnings.catch_warnings():  # components that are missing are 0
        warnings.filterwarnings("ignore", "X spans")
        whitening.fit(features)
    scale = whitening.explained_variance_.mean().clamp_min(torch.finfo(torch.float32).tiny).sqrt()
    weight = features.new_zeros(latent, features.shape[1])
    weight[: len(whitening.components_)] = whitening.components_ / scale
    return weight, -weight @ whitening.mean_.to(weight)


def stages(config: StagesConfig, shapes: Shapes) -> list[Stage]:
    """Returns the auto-encoder, unless there is an encoder or features, and DEC."""
    first = config.dec
    last = Stage("dec", lambda *given: DEC(first, *given), first.epochs)
    if isinstance(shapes, FeatureSet) or first.init is not None:
        return [last]
    encoder = {"model": first.model, "model_kwargs": first.model_kwargs}
    before = of_stage(first, config.autoencoder, 1, **encoder)
    return [Stage("autoencoder", lambda *given: AutoEncode(before, *given), before.epochs), last]


RECIPE = Recipe(
    about="""Sharpens clusters of an embedding by learning its own sure assignments (DEC).

    An auto-encoder embeds shapes in few numbers; encoder and centers then follow a target that is
    made of all assignments, until hardly a shape changes its cluster.
    """,
    config=StagesConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"dec": {"model": "clusternet"}},
        "xie2016": {"autoencoder": {"epochs": 300}, "dec": {"epochs": 200}},
    },
    data=lambda config: config.dec,
)
