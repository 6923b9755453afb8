"""Shapes without their labels: opened, seen from random views, described by an encoder."""

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from pcclust.cluster.pseudo_labels import check_not_all_equal
from pcclust.data import PointDataset
from pcclust.data.dataset import UpAxis
from pcclust.data.named import open_named
from pcclust.data.transforms import (
    Compose,
    Jitter,
    RotateSO3,
    RotateUp,
    Scale,
    Shift,
    SmallRotation,
    Transform,
    UnitSphere,
)
from pcclust.nn.rri_statistics import CHANNELS, rri_statistics
from pcclust.training import Progress, TrainingConfig
from pcclust.training.config import Settings

STATISTICS_AT_ONCE = 64


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(TrainingConfig):
    """Which encoder is trained, and what it is shown.

    The defaults need no upright pose: views are turned any way before they are stretched, so the
    axes of the stretch have nothing to do with those of the data.

    Attributes:
        model: the backbone, by name.
        settings: of the backbone, as NAME=VALUE; those left out have their defaults.
        rotation: how views are turned: "z" about the axis of gravity, "so3" at random, or "none".
        jitter: standard deviation of the noise of points, cut at five times that.
        max_scale: views are scaled by a factor from 1 / max_scale to max_scale; 1 for none.
        stretch: whether x, y and z get such factors of their own.
        tilt: standard deviation in rad of a small rotation about each axis, cut at three times.
        max_shift: views are moved by up to this along each axis.
        label_smoothing: the share of a label that is spread over all classes.
    """

    model: str = "clusternet"
    settings: Settings = field(default_factory=dict)
    rotation: Literal["z", "so3", "none"] = "so3"
    jitter: float = 0.01
    max_scale: float = 1.25
    stretch: bool = True
    tilt: float = 0.0
    max_shift: float = 0.0
    label_smoothing: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_scale < 1:
            raise ValueError(f"max_scale={self.max_scale} must be at least 1")
        for name in ("jitter", "tilt", "max_shift"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing={self.label_smoothing} must be in [0, 1)")


def open_unlabelled(name: str, num_points: int, up_axis: UpAxis | None = None) -> PointDataset:
    """Opens training shapes without their labels, each centred and scaled to the unit sphere.

    Args:
        name: modelnet40 or modelnet10 (in $PCCLUST_DATA), or an HDF5 file or folder of shapes.
        num_points: the points of every shape.
        up_axis: the axis against gravity, where the dataset does not know it.

    Raises:
        FileNotFoundError: the data are not there.
        ValueError: fewer than two shapes, or all of them alike.
    """
    shapes = open_named(name, num_points=num_points)
    points = UnitSphere()(shapes.points)
    _check_distinct(points, name)
    return PointDataset(points, None, shapes.names, up_axis=up_axis or shapes.up_axis)


def views(config: EncoderConfig, up_axis: UpAxis | None, name: str) -> Transform:
    """Returns the random transforms of a training view, in the order of ContrastNet's code.

    Args:
        config: the settings.
        up_axis: the axis against gravity.
        name: of the dataset, for messages.

    Raises:
        ValueError: views are to be turned about an axis that is not known.
    """
    steps: list[Transform] = []
    if config.rotation == "z":
        if up_axis is None:
            raise ValueError(
                f"{name} does not say which axis points up, about which views are turned: give "
                "--up-axis x, y or z, or --rotation so3, or --preset rotation-invariant, which "
                "needs no pose"
            )
        steps.append(RotateUp(up_axis))
    elif config.rotation == "so3":
        steps.append(RotateSO3())
    if config.jitter:
        steps.append(Jitter(config.jitter, 5 * config.jitter))
    if config.max_scale > 1:
        steps.append(Scale(1 / config.max_scale, config.max_scale, per_axis=config.stretch))
    if config.tilt:
        steps.append(SmallRotation(config.tilt, 3 * config.tilt))
    if config.max_shift:
        steps.append(Shift(config.max_shift))
    return Compose(*steps)


@torch.no_grad()
def encode_shapes(
    encoder: nn.Module, shapes: PointDataset, *, batch_size: int = 32, progress: Progress
) -> Tensor:
    """Describes whole shapes by an encoder in evaluation mode.

    Args:
        encoder: maps ``(B, N, 3)`` to ``(B, C)``; where its parameters are, the work is done.
        shapes: N of them.
        batch_size: shapes that are encoded at once; it changes no result but by rounding.
        progress: is told how far it is.

    Returns:
        ``(N, C)`` float32 on the CPU.
    """
    device = next(encoder.parameters()).device
    training = encoder.training
    encoder.eval()
    features, done = [], 0
    try:
        for rows in torch.split(torch.arange(len(shapes)), batch_size):
            features.append(encoder(shapes.batch(rows).to(device)).float().cpu())
            done += len(rows)
            progress("features", done, len(shapes))
    finally:
        encoder.train(training)
    return torch.cat(features)


def describe_shapes(
    encoder: nn.Module, shapes: PointDataset, *, statistics: bool, progress: Progress
) -> Tensor:
    """Describes whole shapes by an encoder and, if asked, by the statistics of their RRI.

    Both then have an equal say: each channel has mean 0, and the channels of each kind have the
    same variance, 1 in sum (but for channels that are constant).

    Args:
        encoder: see `encode_shapes`.
        shapes: N of them.
        statistics: whether `rri_statistics` are put beside the features.
        progress: is told how far it is.

    Returns:
        ``(N, described_channels(encoder, statistics))`` float32 on the CPU.

    Raises:
        ValueError: statistics are asked for beside features that are all equal.
    """
    features = encode_shapes(encoder, shapes, progress=progress)
    if not statistics:
        return features
    check_not_all_equal(features)  # the statistics would hide it
    described = []
    for rows in torch.split(torch.arange(len(shapes)), STATISTICS_AT_ONCE):
        described.append(rri_statistics(shapes.points[rows]))
        progress("statistics of RRI", int(rows[-1]) + 1, len(shapes))
    return torch.cat([_evened(features), _evened(torch.cat(described))], dim=1)


def described_channels(encoder: nn.Module, statistics: bool) -> int:
    """Returns the width of what `describe_shapes` returns."""
    return int(encoder.out_channels) + (CHANNELS if statistics else 0)  # type: ignore[arg-type]


def _evened(features: Tensor) -> Tensor:
    """Brings columns to mean 0 and variance 1 / C; one that is constant becomes 0."""
    wide = features.double()
    centred = wide - wide.mean(dim=0)
    deviation = centred.square().mean(dim=0).sqrt()
    varies = deviation > 1e-6 * wide.abs().amax(dim=0)
    scale = torch.where(varies, deviation * features.shape[1] ** 0.5, torch.inf)
    return (centred / scale).to(features.dtype)


def card_of_encoder(config: EncoderConfig, num_points: int, data: dict[str, Any]) -> dict[str, Any]:
    """Returns what the cards of all encoders trained without labels say."""
    return {
        "model": config.model,
        "settings": config.settings,
        "class_names": [],
        "num_points": num_points,
        "normalization": "centred, farthest point at radius 1",
        "rotation": config.rotation,
        "data": data,
        "method": config.method,
        "seed": config.seed,
    }


def _check_distinct(points: Tensor, name: str) -> None:
    if len(points) < 2:
        raise ValueError(f"{name} holds a single shape; it takes many to learn what differs")
    if bool((points == points[0]).all()):
        raise ValueError(f"all {len(points):,} shapes of {name} are the same: nothing to learn")
