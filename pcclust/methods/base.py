"""What deep-clustering methods have in common: each adds heads and a loss of its own."""

import dataclasses
import warnings
from abc import abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn
from tyro.conf import arg

from pcclust.cluster.metrics import effective_clusters, normalized_mutual_information
from pcclust.cluster.pseudo_labels import COLLAPSED, ClusterCollapseWarning
from pcclust.data import PointDataset
from pcclust.data.prefetch import prefetched
from pcclust.data.seeding import seeded_generator
from pcclust.methods._backbone import (
    check_backbone,
    check_cloud_size,
    count_parameters,
    fit_batch,
    seeded_weights,
)
from pcclust.methods._headed_encoder import HeadedEncoder
from pcclust.methods.encoders import Encoder, first_encoder
from pcclust.methods.features import FeatureSet
from pcclust.methods.stages import NOTHING, Previous
from pcclust.methods.unlabelled import card_of_encoder, encode_shapes
from pcclust.methods.views import DataConfig, views
from pcclust.nn import Clusterer
from pcclust.nn.cluster_heads import ClusterHead
from pcclust.training import Method, Progress

SILENT: Progress = lambda what, done, total: None  # noqa: E731 - a default of its type
NOT_YET = -1


@dataclass(frozen=True, kw_only=True)
class DeepClusteringConfig(DataConfig):
    """Which shapes are clustered, into how many clusters, and from which encoder on.

    Attributes:
        num_clusters: how many clusters.
        init: weights that the encoder begins with, as pcclust.load takes them: the folder of a run,
            a .safetensors file, the name of weights that come with pcclust, or
            hf://OWNER/REPOSITORY. They bring --model and --settings; by default it is untrained.
    """

    num_clusters: Annotated[int, arg(name="clusters")]
    init: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.num_clusters, int) and self.num_clusters < 2:
            raise ValueError(f"clusters={self.num_clusters} must be at least 2")


class Views(NamedTuple):
    """Several shapes, seen in several ways.

    Attributes:
        points: ``(B, V, P, 3)`` float32, V views of each; or ``(B, C)`` features where V is 0.
        indices: ``(B,)`` int64, which shapes they are.
    """

    points: Tensor
    indices: Tensor


class DeepClustering(Method):
    """An encoder, heads, random views of all shapes, and measures that read no label.

    A method is a subclass: `heads` and `loss` are all that it must have. What it learns beside the
    weights goes into `buffers`, which `begin_epoch` and `after_step` write into ``self.model``.

    Args:
        config: the settings.
        shapes: what `pcclust.methods.stages.open_shapes` returns; without labels.
        previous: what the stages before have left.

    Attributes:
        encoder: what is trained, and what is known of it.
        model: `HeadedEncoder`.
        previous: as given.
        num_views: views of a shape in a batch; 0 for a method that learns on features, which are
            encoded once, or given as a file.
        frozen_encoder: whether the encoder stays as it is, its BatchNorm included.
        collapse_advice: what to change when shapes gather in few clusters.

    Raises:
        ValueError: settings that do not exist or do not fit the data, more clusters than shapes.
    """

    config: DeepClusteringConfig
    model: HeadedEncoder
    num_views: ClassVar[int] = 2
    frozen_encoder: ClassVar[bool] = False
    collapse_advice: ClassVar[str] = (
        "ask for fewer --clusters, begin with trained weights (--init), or lower --learning-rate"
    )

    def __init__(
        self,
        config: DeepClusteringConfig,
        shapes: PointDataset | FeatureSet,
        previous: Previous = NOTHING,
    ) -> None:
        self.shapes, self.previous = shapes, previous
        self.config, self.notes = fit_batch(config, len(shapes))
        self._check_clusters()
        self.encoder = self._first_encoder()
        width = self.encoder.width
        with seeded_weights(config.seed):
            heads = self.heads(width)
        learned = {"assigned": torch.full((len(shapes),), NOT_YET)} | self.buffers(width)
        network = self.encoder.network
        self.model = HeadedEncoder(network, heads, learned, frozen=self.frozen_encoder)
        self.steps_per_epoch = len(shapes) // self.config.batch_size
        if isinstance(shapes, PointDataset):
            self.augment = views(config, shapes.up_axis, config.dataset)
        self.data_sha256 = shapes_sha256(shapes)
        self._features: Tensor | None = None
        self._warned = False

    @abstractmethod
    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the heads by name; ``cluster`` is a `ClusterHead`, which is saved.

        Args:
            width: channels of the features.
        """

    @abstractmethod
    def loss(self, model: nn.Module, batch: Views) -> dict[str, Tensor]:
        """Returns ``loss`` and others for the log; see `outputs`."""

    def buffers(self, width: int) -> dict[str, Tensor]:
        """Returns what is learned beside weights, as it is at the start: it survives as a buffer.

        Args:
            width: channels of the features.
        """
        return {}

    def order(self, epoch: int) -> Tensor:
        """Returns the shapes of an epoch in their order, at least a batch for each step."""
        generator = seeded_generator(self.config.seed, epoch)
        return torch.randperm(len(self.shapes), generator=generator)

    def views(self, rows: Tensor, epoch: int, step: int) -> Tensor:
        """Returns views of shapes; called in threads, ahead of the step.

        Args:
            rows: ``(B,)`` which shapes.
            epoch: from 0.
            step: of the epoch, from 0.

        Returns:
            ``(B, V, P, 3)``, or ``(B, C)`` features where V is 0.
        """
        if isinstance(self.shapes, FeatureSet):
            return self.shapes.features[rows]
        points = self.shapes.batch(rows)
        keys = (self.config.seed, epoch, step)
        return torch.stack(
            [self.augment(points, seeded_generator(*keys, v)) for v in range(self.num_views)], dim=1
        )

    def assign(self, features: Tensor) -> Tensor:
        """Returns how likely shapes belong to each cluster, ``(B, K)``, by features ``(B, C)``."""
        scores: Tensor = self.model.heads["cluster"](features)
        return scores.float().softmax(dim=1)

    def batches(self, epoch: int, start: int) -> Iterator[Views]:
        """Yields views of all shapes, a batch a step."""
        order, steps = self.order(epoch), self.steps_per_epoch
        rows = torch.split(order, self.config.batch_size)[:steps]
        jobs = range(start, steps)

        def prepare(step: int) -> Views:
            return Views(self.views(rows[step], epoch, step), rows[step])

        for batch in prefetched(jobs, prepare, self.config.workers):
            self._features = None  # a step will change them
            yield batch
            self._features = None

    def outputs(
        self, model: nn.Module, batch: Views, heads: Collection[str] | None = None
    ) -> dict[str, Tensor]:
        """Returns features and what heads make of them, for all views in one pass.

        Args:
            model: as `loss` gets it.
            batch: the views.
            heads: which ones; all if None. (One pass a step: several processes need it so.)

        Returns:
            By name, ``features`` and each head's output, tensors ``(B, V, …)``, or ``(B, …)`` of
            features.
        """
        if not self.num_views:
            given: dict[str, Tensor] = model(batch.points, heads)
            return given
        shape = batch.points.shape[:2]
        found = model(batch.points.flatten(0, 1), heads)
        return {
            name: value.view(*shape, *value.shape[1:]) if isinstance(value, Tensor) else value
            for name, value in found.items()
        }

    def features(self, progress: Progress = SILENT) -> Tensor:
        """Returns the features ``(N, C)`` of all shapes, plain and not augmented, as they are now.

        They are kept until the next step. On the CPU.
        """
        if self._features is None:
            if isinstance(self.shapes, FeatureSet):
                self._features = self.shapes.features
            else:
                self._features = encode_shapes(self.model.encoder, self.shapes, progress=progress)
        return self._features

    @torch.no_grad()
    def assignments(self) -> Tensor:
        """Returns how likely each shape belongs to each cluster, ``(N, K)``, on the CPU."""
        device = next(self.model.buffers()).device
        training = self.model.training
        self.model.eval()
        parts = [self.assign(part.to(device)).cpu() for part in torch.split(self.features(), 1024)]
        self.model.train(training)
        return torch.cat(parts)

    def evaluate(self) -> dict[str, float]:
        """Returns how even, how sure and how settled the clusters are; no label is read.

        ``perplexity`` of the sizes (the number of equal clusters that are as even), ``empty``
        clusters, ``confidence`` (mean of the largest probability of a shape), and ``nmi_before``
        with the clusters of the epoch before, from the second on.

        Warns:
            ClusterCollapseWarning: few clusters hold most shapes; once a run.
        """
        probabilities = self.assignments()
        confidence, labels = probabilities.max(dim=1)
        assigned = self.model.assigned
        assert isinstance(assigned, Tensor)
        before = assigned.cpu()
        measured = {
            "perplexity": effective_clusters(labels),
            "empty": float(probabilities.shape[1] - len(torch.unique(labels))),
            "confidence": float(confidence.double().mean()),
        }
        if int(before[0]) != NOT_YET:
            measured["nmi_before"] = normalized_mutual_information(before, labels)
        assigned.copy_(labels)
        self._warn_of_collapse(measured, probabilities.shape[1])
        return measured

    def describe(self) -> list[str]:
        """Returns what is trained on what."""
        config = self.config
        begun = f" from {self.encoder.source}" if self.encoder.source else ""
        frozen = ", which stay as they are" if self.frozen_encoder else ""
        return [
            f"{config.method} on {config.dataset}: {len(self.shapes):,} shapes, "
            f"{config.num_clusters} clusters; {config.epochs} epochs of {self.steps_per_epoch} "
            f"steps of {config.batch_size}",
            f"encoder {self.encoder.model}{begun}: {count_parameters(self.model.encoder):,} "
            f"parameters{frozen}, {count_parameters(self.model.heads):,} in heads; views turned "
            f"{config.rotation}; {config.optimizer} at {config.learning_rate:g}",
            *self.notes,
        ]

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the `Clusterer` of encoder and cluster head, and its card."""
        config, encoder = self.config, self._saved_encoder()
        head = self.model.heads["cluster"]
        assert isinstance(head, ClusterHead)
        clusterer = Clusterer(encoder.network, head)
        data = {"dataset": config.dataset, "shapes": len(self.shapes), "sha256": self.data_sha256}
        card = card_of_encoder(config, config.num_points, data)
        made = {
            "model": encoder.model,
            "settings": encoder.settings,
            "parameters": count_parameters(clusterer),
            "config": dataclasses.asdict(config),
        }
        return clusterer, card | made | clusterer.card()

    def _saved_encoder(self) -> Encoder:
        """Returns the encoder of points, where it is known, also for a method on features."""
        if isinstance(self.shapes, FeatureSet) and self.shapes.encoder is not None:
            return self.shapes.encoder
        return self.encoder

    def _first_encoder(self) -> Encoder:
        config = self.config
        if isinstance(self.shapes, FeatureSet):
            if self.num_views:
                raise ValueError(
                    f"{config.dataset} holds features, and {config.method} trains an encoder: give "
                    "shapes"
                )
            return Encoder.of_features(self.shapes)
        weights = self.previous.weights or config.init
        if weights is None:
            check_backbone(config.model, config.settings)
        encoder = first_encoder(config, weights)
        check_cloud_size(encoder.network, config.num_points, "shapes")
        return encoder

    def _check_clusters(self) -> None:
        if self.config.num_clusters > len(self.shapes):
            raise ValueError(
                f"clusters={self.config.num_clusters} exceeds the {len(self.shapes):,} shapes of "
                f"{self.config.dataset}: give fewer --clusters"
            )

    def _warn_of_collapse(self, measured: dict[str, float], clusters: int) -> None:
        even = (measured["perplexity"] - 1) / (clusters - 1)
        if even >= COLLAPSED or self._warned:
            return
        self._warned = True
        warnings.warn(
            f"the {clusters} clusters have collapsed: they are as uneven as "
            f"{measured['perplexity']:.1f} of equal size would be, {measured['empty']:.0f} are "
            f"empty. If that stays so over the next epochs, {self.collapse_advice}",
            ClusterCollapseWarning,
            stacklevel=2,
        )


def shapes_sha256(shapes: PointDataset | FeatureSet) -> str:
    """Returns the SHA-256 of what is learned from."""
    from pcclust.data.fingerprint import data_sha256

    return shapes.sha256 if isinstance(shapes, FeatureSet) else data_sha256(shapes)
