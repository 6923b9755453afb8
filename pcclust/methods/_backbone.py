"""What methods have to do with the backbone that they train."""

import inspect
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pcclust._names import counted, nearest
from pcclust.nn import create_backbone
from pcclust.nn.backbones import BACKBONES, find_backbone
from pcclust.training import TrainingConfig

Settings = TypeVar("Settings", bound=TrainingConfig)


def check_backbone(model: str, model_kwargs: Mapping[str, Any]) -> None:
    """Refuses a backbone that cannot be built, before any data are read.

    Raises:
        ValueError: there is none of this name, or it has no such setting.
    """
    if ":" not in model and model not in BACKBONES:
        raise ValueError(f"there is no model {model!r}{nearest(model, BACKBONES)}")
    known = inspect.signature(find_backbone(model)).parameters
    for name in model_kwargs:
        if name not in known:
            raise ValueError(f"{model} has no setting {name!r}{nearest(name, known)}")


def check_cloud_size(backbone: nn.Module, num_points: int, what: str) -> None:
    """Refuses clouds of so few points that the backbone cannot describe them.

    Args:
        backbone: is asked about two clouds of random points.
        num_points: the fewest points of a cloud.
        what: these clouds, in the plural, for the message.

    Raises:
        ValueError: what the backbone says, and of which clouds.
    """
    trial = torch.rand(2, num_points, 3, generator=torch.Generator().manual_seed(0))
    training = backbone.training
    try:
        with torch.no_grad():
            backbone.eval()(trial)
    except ValueError as error:
        raise ValueError(
            f"{what} of {num_points} points are too small for {type(backbone).__name__}: {error}; "
            "take more points, or set fewer neighbours"
        ) from error
    finally:
        backbone.train(training)


def fit_batch(config: Settings, count: int, group: int = 1) -> tuple[Settings, list[str]]:
    """Shrinks the batches of a method to the shapes there are.

    Args:
        config: the settings.
        count: the shapes.
        group: what a batch must be a multiple of, in each part of each process.

    Returns:
        The settings, with a ``batch_size`` that the shapes fill, and what to say of it.

    Raises:
        ValueError: fewer shapes than a batch must have at least.
    """
    if count >= config.batch_size:
        return config, []
    unit = group * config.accumulate * int(os.environ.get("WORLD_SIZE", "1"))
    size = count // unit * unit
    if size < max(unit, 2):
        raise ValueError(f"{count} shapes do not fill a batch of {max(unit, 2)}; give more shapes")
    said = f"batches have {size} shapes and not {config.batch_size}: there are {count:,}"
    return replace(config, batch_size=size), [said]


def run_length(config: TrainingConfig, steps: int) -> str:
    """Says how long a method trains, by the steps of an epoch."""
    epochs = counted(config.epochs, "epoch")
    return f"{epochs} of {counted(steps, 'step')} of {config.batch_size}"


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Lets the seed decide the weights of modules that are built within, and nothing else."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def create_seeded(model: str, model_kwargs: Mapping[str, Any], seed: int) -> nn.Module:
    """Builds a backbone whose weights the seed decides."""
    with seeded_weights(seed):
        return create_backbone(model, **model_kwargs)


def smoothed_loss(logits: Tensor, labels: Tensor, label_smoothing: float) -> dict[str, Tensor]:
    """Returns the cross-entropy with smoothed labels, and the accuracy.

    Args:
        logits: ``(B, C)``.
        labels: ``(B,)`` int64.
        label_smoothing: the fraction of a label that is spread over all classes.
    """
    loss = F.cross_entropy(logits, labels, label_smoothing=label_smoothing)
    return {"loss": loss, "accuracy": (logits.argmax(dim=1) == labels).float().mean()}


def count_parameters(model: nn.Module) -> int:
    """Returns the number of parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
