"""Contrastive Clustering: rows and columns of one table are contrasted, shapes and clusters."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from pcclust.losses import cluster_contrast, nt_xent
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.stages import Recipe, Stage
from pcclust.nn.cluster_heads import MLPHead
from pcclust.nn.projector import Projector


@dataclass(frozen=True, kw_only=True)
class CCConfig(DeepClusteringConfig):
    """How strongly neighbours are told apart.

    Attributes:
        projection: channels in which shapes are contrasted.
        instance_temperature: of the contrast of shapes.
        cluster_temperature: of the contrast of clusters.
    """

    projection: int = 128
    instance_temperature: float = 0.5
    cluster_temperature: float = 1.0
    epochs: int = 60
    batch_size: int = 128

    method: ClassVar[str] = "cc"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("projection", "instance_temperature", "cluster_temperature"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name}={getattr(self, name)} must be positive")


class CC(DeepClustering):
    """Contrasts two views of shapes as rows and of clusters as columns.

    The instance head projects features for the contrast of shapes; the softmax of the cluster head
    gives a row of assignments to each shape and a column to each cluster.

    What differs from the official code: a cluster without shapes makes no NaN, and the last,
    smaller batch is left out.

    Source: Li et al., "Contrastive Clustering" (2021).
    """

    config: CCConfig

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the head of clusters and the one of instances."""
        return {
            "cluster": MLPHead(width, self.config.num_clusters),
            "instance": Projector(width, width, self.config.projection),
        }

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the sum of both contrasts, and each."""
        out = self.outputs(model, batch)
        z1, z2 = out["instance"].unbind(dim=1)
        p1, p2 = F.softmax(out["cluster"].float(), dim=2).unbind(dim=1)
        instances = nt_xent(z1, z2, self.config.instance_temperature)
        clusters = cluster_contrast(p1, p2, self.config.cluster_temperature)
        return {"loss": instances + clusters, "instances": instances, "clusters": clusters}


def stages(config: CCConfig, shapes: object) -> list[Stage]:
    """Returns the only stage."""
    return [Stage("cc", lambda *given: CC(config, *given), config.epochs)]


RECIPE = Recipe(
    about="""Contrasts shapes and clusters at once (Contrastive Clustering).

    Two views of a shape should be alike among all shapes, and two views of a cluster among all
    clusters.
    """,
    config=CCConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"model": "clusternet"},
        "li2021": {
            "batch_size": 256, "epochs": 1000, "learning_rate": 3e-4, "weight_decay": 0.0,
            "schedule": "constant",
        },
    },
)  # fmt: skip
