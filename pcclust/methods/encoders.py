"""The encoder that a method begins with, and what is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

from torch import nn

from pcclust.data.transforms import Transform
from pcclust.methods._backbone import create_seeded
from pcclust.methods.views import EncoderConfig
from pcclust.nn import CanonicalPose, GivenFeatures
from pcclust.nn.clusterer import encoder_of_shapes
from pcclust.nn.weights import FEATURES, load

if TYPE_CHECKING:
    from pcclust.methods.features import FeatureSet


@dataclass(frozen=True)
class Encoder:
    """A backbone, and how to build it again.

    Attributes:
        network: maps ``(B, N, 3)`` to ``(B, C)``; or `GivenFeatures`.
        model: its name.
        model_kwargs: its arguments.
        source: where its weights are from; None where it begins untrained.
    """

    network: nn.Module
    model: str
    model_kwargs: Mapping[str, Any]
    source: str | None = None

    @property
    def width(self) -> int:
        """C."""
        width = self.network.out_channels
        assert isinstance(width, int)
        return width

    @staticmethod
    def of_features(features: "FeatureSet") -> "Encoder":
        """Returns what stands for an encoder of features that are given."""
        width = features.features.shape[1]
        return Encoder(GivenFeatures(width), FEATURES, {"out_channels": width})


def load_encoder(weights: str | PathLike[str]) -> Encoder:
    """Loads the encoder of a run or of a file of weights.

    Args:
        weights: as `pcclust.load` takes them: of a backbone, or of a classifier or clusterer whose
            backbone is taken.

    Raises:
        FileNotFoundError: as `pcclust.load`.
        ValueError: as `pcclust.load`, or a model of features, which has no encoder.
    """
    model = load(weights)
    card = model.__dict__["card"]
    network = encoder_of_shapes(model, str(weights))
    return Encoder(network, card["model"], card["model_kwargs"], str(weights))


def first_encoder(config: EncoderConfig, weights: str | PathLike[str] | None) -> Encoder:
    """Returns the encoder that a method begins with: of weights, or new by the seed."""
    if weights is not None:
        return load_encoder(weights)
    network = create_seeded(config.model, config.model_kwargs, config.seed)
    return Encoder(network, config.model, config.model_kwargs)


def take_posed(encoder: Encoder) -> Transform:
    """Lets an encoder take its training clouds in a principal pose; returns what poses them.

    Raises:
        ValueError: an encoder that does not ask its backbone about poses.
    """
    network = encoder.network
    if not isinstance(network, CanonicalPose):
        raise ValueError(
            f"posed views are for --model canonical-pose, not {encoder.model}: it is that which "
            "asks its backbone about all poses afterwards"
        )
    network.posed = True
    return network.pose
