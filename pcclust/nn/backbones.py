"""Backbones by name."""

import os
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from torch import nn

from pcclust._user_code import named_object
from pcclust.nn.canonical_pose import CanonicalPose
from pcclust.nn.clusternet import ClusterNet
from pcclust.nn.dgcnn import DGCNN
from pcclust.nn.feature_stack import FeatureStack, RRIStatistics
from pcclust.nn.pointnet import PointNet

Backbone = TypeVar("Backbone", bound=type[nn.Module])
ALLOWED = "PCCLUST_BACKBONES"  # names of the user's code that saved weights may use
_registered: dict[str, type[nn.Module]] = {
    "canonical-pose": CanonicalPose,
    "clusternet": ClusterNet,
    "dgcnn": DGCNN,
    "feature-stack": FeatureStack,
    "pointnet": PointNet,
    "rri-statistics": RRIStatistics,
}


BACKBONES: Mapping[str, type[nn.Module]] = MappingProxyType(_registered)


def register_backbone(name: str) -> Callable[[Backbone], Backbone]:
    """Registers a backbone under a name, by which commands and saved weights know it.

    Its constructor takes settings that JSON can hold; it has ``out_channels``, an int, and its
    ``forward(points, lengths=None)`` maps ``(B, N, 3)`` to ``(B, out_channels)``.

    Args:
        name: of the backbone.

    Raises:
        ValueError: the name is taken.

    Example:
        >>> import torch
        >>> from pcclust.nn import create_backbone
        >>> from pcclust.nn.backbones import register_backbone
        >>> @register_backbone("extent")
        ... class Extent(torch.nn.Module):
        ...     out_channels = 3
        ...
        ...     def forward(self, points, lengths=None):
        ...         return points.amax(dim=1) - points.amin(dim=1)
        >>> create_backbone("extent")(torch.rand(2, 50, 3)).shape
        torch.Size([2, 3])
    """

    def register(cls: Backbone) -> Backbone:
        if _registered.get(name, cls) is not cls:
            raise ValueError(f"there is a backbone {name!r} already: take another name")
        _registered[name] = cls
        return cls

    return register


def find_backbone(name: str) -> type[nn.Module]:
    """Returns the class of a backbone: a registered one, or ``file.py:Name`` of the user's code.

    The latter is imported, and registered under that very name.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such backbone, or what is there is none.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    if ":" not in name:
        known = ", ".join(sorted(BACKBONES))
        raise ValueError(f"backbone {name!r} is none of {known}; or give file.py:Name of your own")
    found = named_object(name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise ValueError(f"{name} is no class of torch.nn.Module")
    return register_backbone(name)(found)


def check_allowed(name: str, model_kwargs: Mapping[str, object] = MappingProxyType({})) -> None:
    """Refuses that a file of weights, which may be anyone's, decides which code is executed.

    Args:
        name: of the backbone.
        model_kwargs: its settings, in which backbones may be named that it is made of.

    Raises:
        ValueError: they name code of a user's that this process has neither imported as a backbone
            nor is allowed to by $PCCLUST_BACKBONES.
    """
    allowed = {*BACKBONES, *os.environ.get(ALLOWED, "").split(",")}
    for named in (name, *_texts(model_kwargs)):
        if ":" in named and named not in allowed:
            raise ValueError(
                f"{named} is code of a user's, which loading weights does not execute; if you "
                f"trust it: export {ALLOWED}={named}"
            )


def _texts(setting: object) -> Iterator[str]:
    """Yields all texts in a setting as JSON can hold it."""
    if isinstance(setting, str):
        yield setting
    elif isinstance(setting, Mapping):
        yield from chain.from_iterable(map(_texts, setting.values()))
    elif isinstance(setting, list | tuple):
        yield from chain.from_iterable(map(_texts, setting))


def create_backbone(name: str, **model_kwargs: object) -> nn.Module:
    """Builds a backbone.

    Args:
        name: one of `BACKBONES`, or ``file.py:Name`` of your own code, which is executed.
        **model_kwargs: its constructor's arguments; those left out have their defaults.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: there is no such backbone, or it has no such setting.

    Example:
        >>> from pcclust.nn import create_backbone
        >>> create_backbone("dgcnn", k=10).out_channels
        2048
    """
    cls = find_backbone(name)
    try:
        return cls(**model_kwargs)
    except TypeError as error:
        raise ValueError(f"backbone {name!r}: {error}") from error
