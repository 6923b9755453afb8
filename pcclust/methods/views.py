"""Which encoder is trained, and the random views of shapes that it is shown."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tyro.conf import Positional, Suppress, arg

from pcclust.data.crops import Crop
from pcclust.data.dataset import UpAxis
from pcclust.data.transforms import (
    Compose,
    Jitter,
    RotateSO3,
    RotateUp,
    Scale,
    Shift,
    SmallRotation,
    Transform,
)
from pcclust.training import TrainingConfig
from pcclust.training.config import ModelKwargs


@dataclass(frozen=True, kw_only=True)
class EncoderConfig(TrainingConfig):
    """Which encoder is trained, and what it is shown.

    The defaults need no upright pose: views are turned any way before they are stretched, so the
    axes of the stretch have nothing to do with those of the data.

    Attributes:
        model: the backbone, by name; or file.py:Name of your own, a torch.nn.Module.
        model_kwargs: of the backbone, as NAME=VALUE; those left out have their defaults.
        rotation: how views are turned: "z" about the axis of gravity, "so3" at random, or "none".
        jitter: standard deviation of the noise of points, cut at five times that.
        max_scale: views are scaled by a factor from 1 / max_scale to max_scale; 1 for none.
        stretch: whether x, y and z get such factors of their own.
        tilt: standard deviation in rad of a small rotation about each axis, cut at three times.
        max_shift: views are moved by up to this along each axis.
        crop: the least fraction of a view's points that a random plane or ball leaves; 1 for none.
        view_points: points drawn of each view, at most that fraction of them; by default all of
            them, or of a crop just that fraction.
        label_smoothing: the fraction of a label that is spread over all classes.
    """

    model: str = "clusternet"
    model_kwargs: ModelKwargs = field(default_factory=dict)
    rotation: Literal["z", "so3", "none"] = "so3"
    jitter: float = 0.01
    max_scale: float = 1.25
    stretch: bool = True
    tilt: float = 0.0
    max_shift: float = 0.0
    crop: float = 1.0
    view_points: int | None = None
    label_smoothing: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_scale < 1:
            raise ValueError(f"max_scale={self.max_scale} must be at least 1")
        for name in ("jitter", "tilt", "max_shift"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")
        if not 0 < self.crop <= 1:
            raise ValueError(f"crop={self.crop} must be above 0 and at most 1")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing={self.label_smoothing} must be in [0, 1)")


@dataclass(frozen=True, kw_only=True)
class InitConfig(EncoderConfig):
    """What the encoder begins with.

    Attributes:
        init: weights that the encoder begins with, as pcclust.load takes them: the folder of a run,
            a .safetensors file, the name of weights that come with pcclust, or
            hf://OWNER/REPOSITORY. They bring --model and --model-kwargs. By default untrained.
        posed: whether views are turned into a principal pose before they are tilted and cropped, so
            that the pose is that of the whole shape; of canonical-pose, which is needed, the
            backbone alone is trained on them.
    """

    init: str | None = None
    posed: bool = False


@dataclass(frozen=True, kw_only=True)
class DataConfig(EncoderConfig):
    """Which shapes are learned from. Labels are not looked at.

    Attributes:
        dataset: modelnet40 or modelnet10 (in $PCCLUST_DATA), or an HDF5 file or folder of shapes.
        split: of a dataset that has splits; by default "train".
        limit: so many shapes at most, drawn at random; by default all.
        num_points: the points of every shape.
        up_axis: the axis against gravity, where the dataset does not know it.
    """

    dataset: Annotated[str, Positional, arg(metavar="DATA")]
    split: str | None = None
    limit: int | None = None
    num_points: int = 1024
    up_axis: UpAxis | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("num_points", "limit"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name}={value} must be positive")


# What all stages of a method share: see `pcclust.methods.stages.of_stage`.
SHARED = (
    "dataset", "split", "limit", "num_points", "up_axis",
    "precision", "workers", "log_every", "checkpoint_minutes",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StageFields:
    """Mixed into the settings of a later stage, it hides what all stages share.

    ``class LaterConfig(StageFields, SomeConfig)`` has the settings of ``SomeConfig``, but those
    here have no options of their own: `pcclust.methods.stages.of_stage` fills them in.
    """

    dataset: Suppress[str] = ""
    split: Suppress[str | None] = None
    limit: Suppress[int | None] = None
    num_points: Suppress[int] = 1024
    up_axis: Suppress[UpAxis | None] = None
    seed: Suppress[int] = 0
    precision: Suppress[Literal["float32", "bfloat16"]] = "float32"
    workers: Suppress[int] = 2
    log_every: Suppress[int] = 50
    checkpoint_minutes: Suppress[float] = 5.0


def views(
    config: EncoderConfig, up_axis: UpAxis | None, name: str, pose: Transform | None = None
) -> Transform:
    """Returns the random transforms of a training view, in the order of ContrastNet's code.

    Args:
        config: the settings.
        up_axis: the axis against gravity.
        name: of the dataset, for messages.
        pose: what turns stretched shapes into a pose, in which they are tilted and then cropped.

    Raises:
        ValueError: views are to be turned about an axis that is not known.
    """
    turned = _turned(config, up_axis, name)
    cropped: list[Transform] = []
    if config.crop < 1 or config.view_points is not None:
        cropped.append(Crop(config.crop, num_points=config.view_points))
    if config.jitter:
        cropped.append(Jitter(config.jitter, 5 * config.jitter))
    scaled: list[Transform] = []
    if config.max_scale > 1:
        scaled.append(Scale(1 / config.max_scale, config.max_scale, per_axis=config.stretch))
    tilted: list[Transform] = []
    if config.tilt:
        tilted.append(SmallRotation(config.tilt, 3 * config.tilt))
    shifted = [Shift(config.max_shift)] if config.max_shift else []
    if pose is None:
        return Compose(*turned, *cropped, *scaled, *tilted, *shifted)
    return Compose(*turned, *scaled, pose, *tilted, *cropped, *shifted)


def _turned(config: EncoderConfig, up_axis: UpAxis | None, name: str) -> list[Transform]:
    """Returns how views are turned at first."""
    if config.rotation == "none":
        return []
    if config.rotation == "so3":
        return [RotateSO3()]
    if up_axis is None:
        raise ValueError(
            f"{name} does not say which axis points up, about which views are turned: give "
            "--up-axis x, y or z, or --rotation so3, or --preset rotation-invariant, which "
            "needs no pose"
        )
    return [RotateUp(up_axis)]
