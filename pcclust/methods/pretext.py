"""What methods that learn an encoder by heads on its features have in common."""

import dataclasses
import math
from abc import abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from pcclust.data import PointDataset
from pcclust.data.fingerprint import data_sha256
from pcclust.data.prefetch import prefetched
from pcclust.data.seeding import seeded_generator
from pcclust.methods._backbone import (
    check_backbone,
    check_cloud_size,
    count_parameters,
    fit_batch,
    run_length,
    seeded_weights,
)
from pcclust.methods._headed_encoder import HeadedEncoder
from pcclust.methods.encoders import Encoder, first_encoder, take_posed
from pcclust.methods.features import FeatureSet
from pcclust.methods.stages import NOTHING, Previous
from pcclust.methods.unlabelled import card_of_encoder, encode_shapes
from pcclust.methods.views import DataConfig, InitConfig, views
from pcclust.training import Method, Progress

SILENT: Progress = lambda what, done, total: None  # noqa: E731 - a default of its type


@dataclass(frozen=True, kw_only=True)
class PretextConfig(InitConfig, DataConfig):
    """Which shapes are learned from, and from which encoder on."""


class Views(NamedTuple):
    """Several shapes, seen in several ways.

    Attributes:
        points: ``(B, V, P, 3)`` float32, V views of each; or ``(B, C)`` features where V is 0.
        indices: ``(B,)`` int64, which shapes they are.
    """

    points: Tensor
    indices: Tensor


class Pretext(Method):
    """An encoder, heads, and random views of all shapes; what is saved is the encoder.

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
        takes_features: whether a method that shows views takes features, too.

    Raises:
        ValueError: settings that do not exist or do not fit the data.
    """

    config: PretextConfig
    model: HeadedEncoder
    num_views: ClassVar[int] = 2
    frozen_encoder: ClassVar[bool] = False
    takes_features: ClassVar[bool] = False

    def __init__(
        self,
        config: PretextConfig,
        shapes: PointDataset | FeatureSet,
        previous: Previous = NOTHING,
    ) -> None:
        self.shapes, self.previous = shapes, previous
        self.config, self.notes = fit_batch(config, len(shapes))
        self._check()
        self.encoder = self._first_encoder()
        width = self.encoder.width
        with seeded_weights(config.seed):
            heads = self.heads(width)
        network, learned = self.encoder.network, self._learned(width)
        self.model = HeadedEncoder(network, heads, learned, frozen=self.frozen_encoder)
        least = math.ceil(self._least_steps() / max(config.epochs, 1))
        self.steps_per_epoch = max(len(shapes) // self.config.batch_size, least)
        if isinstance(shapes, PointDataset):
            pose = take_posed(self.encoder) if config.posed else None
            self.augment = views(config, shapes.up_axis, config.dataset, pose)
            self.data_sha256 = data_sha256(shapes)
        else:
            self.data_sha256 = shapes.sha256
        self._features: Tensor | None = None

    @abstractmethod
    def heads(self, width: int) -> dict[str, nn.Module]:
        """Returns the heads by name.

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
        rounds = math.ceil(self.steps_per_epoch * self.config.batch_size / len(self.shapes))
        orders = [torch.randperm(len(self.shapes), generator=generator) for _ in range(rounds)]
        return torch.cat(orders)

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
        points = self.read(self.shapes, rows)
        keys = (self.config.seed, epoch, step)
        return torch.stack(
            [self.augment(points, seeded_generator(*keys, v)) for v in range(self.num_views)], dim=1
        )

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

    def describe(self) -> list[str]:
        """Returns what is trained on what."""
        config = self.config
        begun = f" from {self.encoder.source}" if self.encoder.source else ""
        frozen = ", which stay as they are" if self.frozen_encoder else ""
        return [
            f"{config.method} on {config.dataset}: {len(self.shapes):,} shapes{self._aim()}; "
            f"{run_length(config, self.steps_per_epoch)}",
            f"encoder {self.encoder.model}{begun}: {count_parameters(self.model.encoder):,} "
            f"parameters{frozen}, {count_parameters(self.model.heads):,} in heads; views turned "
            f"{config.rotation}; {config.optimizer} at {config.learning_rate:g}",
            *self.notes,
        ]

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the encoder and its card."""
        network = self._saved_encoder().network
        return network, self._card(network)

    def _card(self, model: nn.Module) -> dict[str, Any]:
        """Returns the card of a model that holds the encoder."""
        config, encoder = self.config, self._saved_encoder()
        data = {"dataset": config.dataset, "shapes": len(self.shapes), "sha256": self.data_sha256}
        return card_of_encoder(config, config.num_points, data) | {
            "model": encoder.model,
            "model_kwargs": encoder.model_kwargs,
            "parameters": count_parameters(model),
            "config": dataclasses.asdict(config),
        }

    def _check(self) -> None:
        """Refuses settings that do not fit the data, before anything is built."""

    def _least_steps(self) -> int:
        """Returns how many steps the training has at least, however few the shapes are."""
        return 0

    def _buffer(self, name: str) -> Tensor:
        """Returns one of the `buffers`."""
        buffer = getattr(self.model, name)
        assert isinstance(buffer, Tensor)
        return buffer

    def _learned(self, width: int) -> dict[str, Tensor]:
        return self.buffers(width)

    def _aim(self) -> str:
        """Returns what is said after the number of shapes."""
        return ""

    def _saved_encoder(self) -> Encoder:
        """Returns the encoder of points, where it is known, also for a method on features."""
        if isinstance(self.shapes, FeatureSet) and self.shapes.encoder is not None:
            return self.shapes.encoder
        return self.encoder

    def _first_encoder(self) -> Encoder:
        config = self.config
        if isinstance(self.shapes, FeatureSet):
            if self.num_views and not self.takes_features:
                raise ValueError(
                    f"{config.dataset} holds features, and {config.method} trains an encoder: give "
                    "shapes"
                )
            return Encoder.of_features(self.shapes)
        weights = self.previous.weights or config.init
        if weights is None:
            check_backbone(config.model, config.model_kwargs)
        encoder = first_encoder(config, weights)
        check_cloud_size(encoder.network, config.num_points, "shapes")
        return encoder
