"""The network of the second stage: trained from scratch to name the clusters of features."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from tyro.conf import Suppress

from pcclust.data import PointDataset, PointLoader
from pcclust.data.fingerprint import data_sha256
from pcclust.data.seeding import seeded_generator
from pcclust.data.splits import balanced_order
from pcclust.methods._backbone import (
    check_backbone,
    check_cloud_size,
    count_parameters,
    create_seeded,
    fit_batch,
    run_length,
    seeded_weights,
    smoothed_loss,
)
from pcclust.methods.classification import LabelledBatch
from pcclust.methods.unlabelled import card_of_encoder
from pcclust.methods.views import DataConfig, StageFields, views
from pcclust.nn import Classifier
from pcclust.training import Method


@dataclass(frozen=True, kw_only=True)
class PseudoLabelConfig(StageFields, DataConfig):
    """How the network is trained; what is the same for all stages, the pipeline fills in.

    Attributes:
        balanced: whether every cluster is drawn equally often, small ones several times.
        num_clusters: of the pseudo-labels.
    """

    balanced: bool = False
    num_clusters: Suppress[int] = 300

    method: ClassVar[str] = "pseudo-label-network"


class PseudoLabelNetwork(Method):
    """Trains a backbone and a classifier, from scratch, on the clusters that shapes fell into.

    The backbone of the last epoch is the result. (Zhang and Zhu call this network ClusterNet; it is
    unrelated to `pcclust.nn.ClusterNet`.)

    Args:
        config: the settings.
        shapes: N of them.
        labels: ``(N,)`` the cluster of each.

    Raises:
        ValueError: settings that do not exist, too few shapes for a batch, or labels that are not
            those of these shapes.

    Source: Zhang and Zhu, "Unsupervised Feature Learning for Point Cloud Understanding by
    Contrasting and Clustering Using Graph Convolutional Neural Networks" (2019). Balanced sampling
    is that of Caron et al., "Deep Clustering for Unsupervised Learning of Visual Features" (2018).
    """

    config: PseudoLabelConfig
    model: Classifier

    def __init__(self, config: PseudoLabelConfig, shapes: PointDataset, labels: Tensor) -> None:
        check_backbone(config.model, config.model_kwargs)
        self.config, self.notes = fit_batch(config, len(shapes))
        names = [f"cluster {cluster}" for cluster in range(config.num_clusters)]
        self.shapes = PointDataset(
            shapes.storage, labels, shapes.names, names, shapes.up_axis, rows=shapes.rows
        )
        self.augment = views(config, shapes.up_axis, config.dataset)
        self.model = _create_network(config)
        check_cloud_size(self.model.backbone, config.num_points, "shapes")
        self.steps_per_epoch = len(shapes) // self.config.batch_size
        self.data_sha256 = data_sha256(self.shapes)

    def describe(self) -> list[str]:
        """Returns what is trained on what."""
        config = self.config
        sampling = "clusters drawn equally often" if config.balanced else "each shape once an epoch"
        return [
            f"network on pseudo-labels: {len(self.shapes):,} shapes, {config.num_clusters} "
            f"clusters, {sampling}; {run_length(self.config, self.steps_per_epoch)}",
            f"{config.model}: {count_parameters(self.model):,} parameters with the classifier; "
            f"views turned {config.rotation}; {config.optimizer} at {config.learning_rate:g}",
            *self.notes,
        ]

    def batches(self, epoch: int, start: int) -> Iterator[LabelledBatch]:
        """Yields augmented shapes with their clusters."""
        drawn = self.order(epoch)
        loader = PointLoader(
            self.shapes.subset(drawn),
            self.config.batch_size,
            shuffle=False,
            seed=self.config.seed,
            transform=self.augment,
            drop_last=True,
            workers=self.config.workers,
        )
        loader.part = self.part
        for batch in loader.epoch(epoch, start):
            assert batch.labels is not None
            yield LabelledBatch(batch.points, batch.labels, {})

    def order(self, epoch: int) -> Tensor:
        """Returns the shapes of an epoch, ``(N,)``, in their order."""
        generator = seeded_generator(self.config.seed, epoch)
        if not self.config.balanced:
            return torch.randperm(len(self.shapes), generator=generator)
        assert self.shapes.labels is not None
        return balanced_order(self.shapes.labels, generator)

    def loss(self, model: nn.Module, batch: LabelledBatch) -> dict[str, Tensor]:
        """Returns the cross-entropy with smoothed labels, and the accuracy."""
        logits = model(batch.points)
        return smoothed_loss(logits, batch.labels, self.config.label_smoothing)

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the classifier of clusters and its card."""
        config = self.config
        data = {"dataset": config.dataset, "shapes": len(self.shapes), "sha256": self.data_sha256}
        card = card_of_encoder(config, config.num_points, data)
        more = {
            "class_names": list(self.shapes.class_names),
            "parameters": count_parameters(self.model),
            "config": dataclasses.asdict(config),
        }
        return self.model, card | more


def _create_network(config: PseudoLabelConfig) -> Classifier:
    backbone = create_seeded(config.model, config.model_kwargs, config.seed)
    with seeded_weights(config.seed):
        return Classifier(backbone, config.num_clusters)
