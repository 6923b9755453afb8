"""PICA: one partition of all shapes, as certain of itself as it can be."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from pcclust.data import PointDataset
from pcclust.data.seeding import seeded_generator
from pcclust.losses import partition_uncertainty
from pcclust.methods.base import DeepClustering, DeepClusteringConfig, Views
from pcclust.methods.stages import Recipe, Stage
from pcclust.nn.cluster_heads import LinearHead


@dataclass(frozen=True, kw_only=True)
class PICAConfig(DeepClusteringConfig):
    """How the partition is learned.

    Attributes:
        over_clusters: clusters of the second head, which splits shapes more finely; by default
            seven times as many, as 70 for 10 in the official settings, and at most half the shapes.
        balance: weight of equal cluster sizes.
    """

    over_clusters: int | None = None
    balance: float = 2.0
    epochs: int = 60
    batch_size: int = 128

    method: ClassVar[str] = "pica"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.over_clusters is not None and self.over_clusters < 2:
            raise ValueError(f"over_clusters={self.over_clusters} must be at least 2")
        if self.balance < 0:
            raise ValueError(f"balance={self.balance} must not be negative")


class PICA(DeepClustering):
    """Each cluster is a column of assignments, and should be the same column for changed shapes.

    Two heads on one encoder take turns, an epoch each: one with more clusters first, then the one
    that is saved. The loss compares shapes as they are with one random view of them.

    What differs from the official code: both are passed through the encoder in one batch, so
    BatchNorm sees them together; no cluster without shapes makes the loss NaN; the last epoch is
    kept, where the code keeps the one that agrees best with labels.

    Source: Huang et al., "Deep Semantic Clustering by Partition Confidence Maximisation" (2020).
    """

    config: PICAConfig
    leaves_parameters_unused: ClassVar[bool] = True
    collapse_advice: ClassVar[str] = "raise --balance, or begin with trained weights (--init)"

    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the head of the clusters and the one of more clusters."""
        clusters = self.config.num_clusters
        more = self.config.over_clusters or min(7 * clusters, len(self.shapes) // 2)
        return {
            "cluster": LinearHead(width, clusters),
            "over": LinearHead(width, max(more, clusters)),
        }

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns the epoch, which says whose turn it is."""
        return {"epoch": torch.zeros((), dtype=torch.int64)}

    def begin_epoch(self, epoch: int, progress: object) -> tuple[()]:
        """Notes whose turn it is."""
        self._buffer("epoch").fill_(epoch)
        return ()

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns the shapes as they are, and one random view of each."""
        assert isinstance(self.shapes, PointDataset)
        points = self.read(self.shapes, rows)
        changed = self.augment(points, seeded_generator(self.config.seed, epoch, step))
        return torch.stack([points, changed], dim=1)

    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns the uncertainty of the head whose turn it is."""
        turn = "cluster" if int(self._buffer("epoch")) % 2 else "over"
        p = self.outputs(model, batch, [turn])[turn].float().softmax(dim=2)
        return {"loss": partition_uncertainty(p[:, 0], p[:, 1], self.config.balance)}


def stages(config: PICAConfig, shapes: object) -> list[Stage]:
    """Returns the only stage, of an even number of epochs, so that both heads have as many."""
    even = replace(config, epochs=config.epochs + config.epochs % 2)
    return [Stage("pica", lambda *given: PICA(even, *given), even.epochs)]


RECIPE = Recipe(
    about="""Maximises the confidence of one partition of all shapes (PICA).

    Clusters of shapes and of changed views of them should be the same, and no two alike.
    """,
    config=PICAConfig,
    stages=stages,
    presets={
        "rotation-invariant": {"model": "clusternet"},
        "huang2020": {
            "batch_size": 256, "epochs": 200, "learning_rate": 1e-4, "weight_decay": 0.0,
            "schedule": "constant",
        },
    },
)  # fmt: skip
