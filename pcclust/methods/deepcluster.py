"""DeepCluster: clusters of the features are labels to learn, and better features cluster anew."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.cluster import KMeans, PCAWhitening
from pcclust.cluster.pseudo_labels import check_not_all_equal
from pcclust.data.seeding import seeded_generator
from pcclust.data.splits import balanced_order
from pcclust.methods.base import SILENT, DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.stages import Recipe, Stage
from pcclust.nn.cluster_heads import CentersHead
from pcclust.training import Progress

KMEANS = 2  # a use of the seed


@dataclass(frozen=True, kw_only=True)
class DeepClusterConfig(DeepClusteringConfig):
    """How the clusters are made, and learned.

    Attributes:
        components: that features are whitened to before they are clustered; fewer where they have
            or span fewer. The paper has 256, of 4,096 features.
        whitening_floor: added to the variance of each component, as a fraction of the largest one,
            so that components of hardly more than noise are not blown up; the paper has none.
        balanced: whether every cluster is drawn equally often, small ones several times.
        reassign: epochs between two clusterings; several where few shapes make short epochs.
    """

    components: int = 64
    whitening_floor: float = 1e-3
    balanced: bool = True
    reassign: int = 1
    label_smoothing: float = 0.0

    method: ClassVar[str] = "deepcluster"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("components", "reassign"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")
        if self.whitening_floor < 0:
            raise ValueError(f"whitening_floor={self.whitening_floor} must not be negative")


class DeepCluster(DeepClustering):
    """Clusters the features, trains the encoder to name the clusters for an epoch, and so on.

    The features of all shapes are whitened, brought to length one and clustered by k-means, before
    the first epoch and after each; the encoder and a linear classifier, which is made anew since
    clusters have no order, learn the clusters. Shapes belong to the nearest centre of the last
    clustering.

    What differs from the official code: a floor keeps the whitening of channels that hardly vary in
    bounds, rows of zeros stay zero, a class is a cluster whether or not others are empty, sampling
    is balanced over the clusters as they are stored, and one optimiser serves all.

    Source: Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features" (2018).
    """

    config: DeepClusterConfig
    num_views: ClassVar[int] = 1

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the centres of the clusters, and the classifier that learns to name them."""
        clusters, components = self.config.num_clusters, min(self.config.components, width)
        return {
            "cluster": CentersHead(width, clusters, components),
            "classifier": nn.Linear(width, clusters),
        }

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the cluster of each shape, and the epoch."""
        return {
            "labels": torch.zeros(len(self.shapes), dtype=torch.int64),
            "epoch": torch.zeros((), dtype=torch.int64),
        }

    def begin_epoch(self, epoch: int, progress: Progress) -> Iterable[nn.Parameter]:
        """Makes the classifier anew where the clusters are; those of the start are made here."""
        self._buffer("epoch").fill_(epoch)
        if epoch == 0:
            self.cluster(0, progress)
        if epoch % self.config.reassign:
            return ()
        classifier = self.model.heads["classifier"]
        assert isinstance(classifier, nn.Linear)
        nn.init.normal_(classifier.weight, std=0.01)
        nn.init.zeros_(classifier.bias)
        return classifier.parameters()

    def order(self, epoch: int) -> Tensor:
        """Draws every cluster equally often, unless the settings say otherwise."""
        if not self.config.balanced:
            return super().order(epoch)
        generator = seeded_generator(self.config.seed, epoch)
        return balanced_order(self.labels.cpu(), generator)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the cross-entropy with the clusters, and the accuracy."""
        scores = self.outputs(model, batch, ["classifier"])["classifier"][:, 0].float()
        labels = self.labels[batch.indices]
        loss = F.cross_entropy(scores, labels, label_smoothing=self.config.label_smoothing)
        return {"loss": loss, "accuracy": (scores.argmax(dim=1) == labels).float().mean()}

    def evaluate(self) -> dict[str, float]:
        """Clusters the features and measures the clusters, where that is due."""
        done = int(self._buffer("epoch")) + 1
        if done % self.config.reassign and done < self.config.epochs:
            return {}
        self.cluster(done, SILENT)
        return super().evaluate()

    def finish(self) -> dict[str, float]:
        """Clusters the features of an encoder that is not trained; others have been by now."""
        if self.config.epochs:
            return {}
        self.cluster(0, SILENT)
        return super().evaluate()

    @property
    def labels(self) -> Tensor:
        """``(N,)`` int64, the cluster of each shape."""
        return self._buffer("labels")

    def cluster(self, done: int, progress: Progress) -> None:
        """Clusters the features as they are after so many epochs."""
        features = self.features(progress)
        check_not_all_equal(features)
        head = self.model.heads["cluster"]
        assert isinstance(head, CentersHead)
        whitening = PCAWhitening(len(head.axes), eps=self.config.whitening_floor)
        with warnings.catch_warnings():  # fewer components than asked for are stated above
            warnings.filterwarnings("ignore", "X spans")
            whitening.fit(features)
        axes = torch.zeros(head.axes.shape)
        variances = whitening.explained_variance_
        deviations = (variances + self.config.whitening_floor * variances[0]).sqrt()
        axes[: len(deviations)] = whitening.components_ / deviations[:, None]
        head.set(whitening.mean_, axes, head.centers, 1.0)
        prepared = head.prepared(features.to(head.mean.device)).cpu()
        kmeans = KMeans(
            self.config.num_clusters,
            random_state=seeded_generator(self.config.seed, done, 0, 0, KMEANS),
        ).fit(prepared)
        variance = kmeans.inertia_ / prepared.numel()
        head.set(whitening.mean_, axes, kmeans.cluster_centers_, variance)
        self.labels.copy_(kmeans.labels_)


def stages(config: DeepClusterConfig, shapes: object) -> list[Stage]:
    """Returns the only stage."""
    return [Stage("deepcluster", lambda *given: DeepCluster(config, *given), config.epochs)]


RECIPE = Recipe(
    about="""Alternates k-means on the features and training on its clusters (DeepCluster).

    Each epoch begins with a clustering of all shapes; the encoder learns to name the clusters.
    """,
    config=DeepClusterConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"model": "clusternet"},
        "caron2018": {"components": 256, "whitening_floor": 0.0, "schedule": "constant"},
    },
)
