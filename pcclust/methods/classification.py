"""Supervised classification of whole shapes."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tyro.conf import Positional, arg

from pcclust.data import PointDataset, PointLoader
from pcclust.data.dataset import UpAxis
from pcclust.data.fingerprint import data_sha256
from pcclust.data.held import held
from pcclust.data.named import has_splits, open_named
from pcclust.data.splits import stratified_split
from pcclust.data.transforms import RotateSO3, RotateUp, Transform
from pcclust.methods._backbone import (
    check_backbone,
    count_parameters,
    fit_batch,
    run_length,
    seeded_weights,
    smoothed_loss,
)
from pcclust.methods.encoders import Encoder, load_encoder, take_posed
from pcclust.methods.views import InitConfig, views
from pcclust.nn import Classifier, create_backbone
from pcclust.training import Method, Progress
from pcclust.training.ward_cache import cached_hierarchy


@dataclass(frozen=True, kw_only=True)
class ClassificationConfig(InitConfig):
    """What is classified, by which model, from which views; the recipe is DGCNN's.

    Attributes:
        dataset: modelnet40 or modelnet10 (in $PCCLUST_DATA), or an HDF5 file or folder of shapes.
        rotation: how training, validation and test shapes are turned: "z" about the axis of
            gravity, "so3" at random, or "none".
        num_points: the points of every shape.
        up_axis: the axis against gravity, where the dataset does not know it.
        val_fraction: of the training shapes of each class, kept for validation.
        jitter: standard deviation of the noise of training points, cut at five times that.
        max_scale: training shapes are scaled by a factor from 1 / max_scale to max_scale; 1 for
            none.
        max_shift: training shapes are moved by up to this along each axis.
    """

    dataset: Annotated[str, Positional, arg(metavar="DATASET")]
    rotation: Literal["z", "so3", "none"] = "z"
    num_points: int = 1024
    up_axis: UpAxis | None = None
    val_fraction: float = 0.1
    jitter: float = 0.0
    max_scale: float = 1.5
    max_shift: float = 0.2

    method: ClassVar[str] = "classification"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.val_fraction < 1:
            raise ValueError(f"val_fraction={self.val_fraction} must be in [0, 1)")


class LabelledBatch(NamedTuple):
    """Several shapes, ready to be trained on.

    Attributes:
        points: ``(B, P, 3)`` float32, augmented.
        labels: ``(B,)`` int64.
        extras: what else the backbone takes, by name.
    """

    points: Tensor
    labels: Tensor
    extras: dict[str, Tensor]


class Classification(Method):
    """Trains a backbone and a classifier on labelled shapes.

    The weights of the last epoch are the result: the learning rate ends at 0, so they are an
    average of sorts already, and choosing an earlier epoch on a small validation set would add
    noise. The validation set is for looking at; the test set is seen once, at the end.

    Hierarchies of `ClusterNet` are computed once for the training shapes, unless views leave points
    out; validation and test shapes have theirs computed from the turned cloud, as a user's do.

    Args:
        config: the settings.

    Raises:
        FileNotFoundError: the data are not there.
        ValueError: data without labels, settings that do not exist or do not fit the data.
    """

    def __init__(self, config: ClassificationConfig) -> None:
        if config.init is None:
            check_backbone(config.model, config.model_kwargs)
        shapes, self.test = _open(config)
        self.train_set, self.val_set = _split(shapes, config)
        config, self.notes = fit_batch(config, len(self.train_set))
        self.config: ClassificationConfig = config
        self.encoder, self.model = _create_model(config, len(shapes.class_names))
        up_axis = config.up_axis or shapes.up_axis
        pose = take_posed(self.encoder) if config.posed else None
        self.rotation = _rotation(config, up_axis)
        self.loader = PointLoader(
            self.train_set,
            config.batch_size,
            seed=config.seed,
            transform=views(config, up_axis, config.dataset, pose),
            drop_last=True,
            workers=config.workers,
        )
        self.steps_per_epoch = len(self.loader)
        self.data_sha256 = data_sha256(self.train_set)
        self.hierarchy: Tensor | None = None

    def describe(self) -> list[str]:
        """Returns what is trained on what."""
        config, data = self.config, self.train_set
        test = "no test set" if self.test is None else f"{len(self.test):,} for the test"
        steps = run_length(config, self.steps_per_epoch)
        begun = f" from {self.encoder.source}" if self.encoder.source else ""
        lines = [
            f"{config.dataset}: {len(data):,} shapes to train on, {len(self.val_set):,} for "
            f"validation, {test}; {len(data.class_names)} classes, {data.num_points:,} points",
            f"{self.encoder.model}{begun}: {count_parameters(self.model):,} parameters; {steps}; "
            f"rotation {config.rotation}; {config.optimizer} at {config.learning_rate:g}",
        ]
        missing = self.missing_classes
        if missing:
            lines.append(
                f"warning: no training shape of {', '.join(missing)}; the model cannot know them"
            )
        return lines + self.notes

    @property
    def missing_classes(self) -> list[str]:
        """The classes without a training shape."""
        return [name for name, count in self.train_set.counts().items() if not count]

    def prepare(self, progress: Progress) -> None:
        """Computes the Ward hierarchies of the training shapes, where the model takes them."""
        num_clusters = getattr(self.model.backbone, "num_clusters", None)
        config = self.config
        if num_clusters is not None and config.crop == 1 and config.view_points is None:
            self.hierarchy = cached_hierarchy(
                self.train_set,
                num_clusters,
                progress=lambda done, total: progress("Ward hierarchies", done, total),
            )

    def batches(self, epoch: int, start: int) -> Iterator[LabelledBatch]:
        """Yields augmented training shapes with their labels."""
        self.loader.part = self.part
        for batch in self.loader.epoch(epoch, start):
            assert batch.labels is not None
            extras = {}
            if self.hierarchy is not None:
                extras["clusters"] = self.hierarchy[batch.indices].long()
            yield LabelledBatch(batch.points, batch.labels, extras)

    def loss(self, model: nn.Module, batch: LabelledBatch) -> dict[str, Tensor]:
        """Returns the cross-entropy with smoothed labels, and the accuracy."""
        logits = model(batch.points, **batch.extras)
        return smoothed_loss(logits, batch.labels, self.config.label_smoothing)

    def evaluate(self) -> dict[str, float]:
        """Returns loss and accuracy of the validation set."""
        return self._measure(self.val_set, "val") if len(self.val_set) else {}

    def finish(self) -> dict[str, float]:
        """Returns loss and accuracy of the test set."""
        return {} if self.test is None else self._measure(self.test, "test")

    def saved(self) -> tuple[nn.Module, dict[str, Any]]:
        """Returns the classifier and its card."""
        config = self.config
        data = {"dataset": config.dataset, "shapes": len(self.train_set)}
        return self.model, {
            "model": self.encoder.model,
            "model_kwargs": self.encoder.model_kwargs,
            "class_names": list(self.train_set.class_names),
            "missing_classes": self.missing_classes,
            "num_points": config.num_points,
            "parameters": count_parameters(self.model),
            "data": data | {"sha256": self.data_sha256},
            "method": config.method,
            "config": dataclasses.asdict(config),
            "seed": config.seed,
        }

    def _measure(self, dataset: PointDataset, name: str) -> dict[str, float]:
        """Measures the model, turned as in training but not augmented, the same every time."""
        loader = PointLoader(
            dataset,
            self.config.batch_size,
            shuffle=False,
            seed=self.config.seed,
            transform=self.rotation,
            workers=self.config.workers,
        )
        device = next(self.model.parameters()).device
        scores = [self.model(batch.points.to(device)).float().cpu() for batch in loader.epoch(0)]
        logits, labels = torch.cat(scores), dataset.labels
        assert labels is not None
        hits = (logits.argmax(dim=1) == labels).double()
        of_class = [float(hits[labels == label].mean()) for label in torch.unique(labels)]
        return {
            f"{name}_loss": float(F.cross_entropy(logits, labels)),
            f"{name}_accuracy": float(hits.mean()),
            f"{name}_class_accuracy": sum(of_class) / len(of_class),
        }


def _open(config: ClassificationConfig) -> tuple[PointDataset, PointDataset | None]:
    """Returns the training and the test shapes, in memory; not every dataset has the latter."""
    data, count = config.dataset, config.num_points
    train = open_named(data, num_points=count)
    test = open_named(data, "test", num_points=count) if has_splits(data) else None
    return held(train), None if test is None else held(test)


def _split(shapes: PointDataset, config: ClassificationConfig) -> tuple[PointDataset, PointDataset]:
    if shapes.labels is None or not shapes.class_names:
        raise ValueError(f"{config.dataset} has no labels, and classification needs them")
    return stratified_split(shapes, config.val_fraction, config.seed)


def _rotation(config: ClassificationConfig, up_axis: UpAxis | None) -> Transform | None:
    if config.rotation == "none":
        return None
    if config.rotation == "so3":
        return RotateSO3()
    if up_axis is None:
        raise ValueError(
            f"{config.dataset} does not say which axis points up, about which --rotation z turns: "
            "give --up-axis x, y or z, or another --rotation"
        )
    return RotateUp(up_axis)


def _create_model(config: ClassificationConfig, num_classes: int) -> tuple[Encoder, Classifier]:
    with seeded_weights(config.seed):
        if config.init is not None:
            encoder = load_encoder(config.init)
        else:
            network = create_backbone(config.model, **config.model_kwargs)
            encoder = Encoder(network, config.model, config.model_kwargs)
        return encoder, Classifier(encoder.network, num_classes)
