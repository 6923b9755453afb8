"""What methods have to do with the backbone that they train."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from pcclust.nn import BACKBONES, create_backbone
from pcclust.training.config import nearest


def check_backbone(model: str, settings: Mapping[str, Any]) -> None:
    """Refuses a backbone that cannot be built, before any data are read.

    Raises:
        ValueError: there is none of this name, or it has no such setting.
    """
    if model not in BACKBONES:
        raise ValueError(f"there is no model {model!r}{nearest(model, BACKBONES)}")
    known = inspect.signature(BACKBONES[model]).parameters
    for name in settings:
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


def create_seeded(model: str, settings: Mapping[str, Any], seed: int) -> nn.Module:
    """Builds a backbone whose weights the seed decides."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return create_backbone(model, **settings)


def count_parameters(model: nn.Module) -> int:
    """Returns the number of parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
