"""Backbones by name."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import nn

from pcclust.nn.canonical_pose import CanonicalPose
from pcclust.nn.clusternet import ClusterNet
from pcclust.nn.dgcnn import DGCNN
from pcclust.nn.feature_stack import FeatureStack, RRIStatistics
from pcclust.nn.pointnet import PointNet

BACKBONES: Mapping[str, type[nn.Module]] = MappingProxyType(
    {
        "canonical-pose": CanonicalPose,
        "clusternet": ClusterNet,
        "dgcnn": DGCNN,
        "feature-stack": FeatureStack,
        "pointnet": PointNet,
        "rri-statistics": RRIStatistics,
    }
)


def create_backbone(name: str, **settings: object) -> nn.Module:
    """Builds a backbone.

    Args:
        name: one of `BACKBONES`.
        **settings: its constructor's arguments; those left out have their defaults.

    Raises:
        ValueError: there is no such backbone, or it has no such setting.

    Example:
        >>> from pcclust.nn import create_backbone
        >>> create_backbone("dgcnn", k=10).out_channels
        2048
    """
    if name not in BACKBONES:
        raise ValueError(f"backbone {name!r} is none of {', '.join(sorted(BACKBONES))}")
    try:
        return BACKBONES[name](**settings)
    except TypeError as error:
        raise ValueError(f"backbone {name!r}: {error}") from error
