"""ContrastNet's pipeline: parts contrasted, whole shapes clustered, a network trained on clusters.

In its folder each stage has its own: ``contrastnet``, then for each round ``roundN`` with
``pseudo_labels.npz`` and ``network``; the result is ``weights.safetensors`` and its card.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import torch
from torch import nn
from tyro.conf import arg

from pcclust.cluster import PCAWhitening, pseudo_labels
from pcclust.data import PointDataset
from pcclust.data.fingerprint import data_sha256
from pcclust.methods._backbone import count_parameters
from pcclust.methods.contrastnet import ContrastNet, ContrastNetConfig
from pcclust.methods.encoders import load_encoder
from pcclust.methods.features import FeatureSet
from pcclust.methods.pseudo_label_file import StoredLabels, labels_key, read_labels, write_labels
from pcclust.methods.pseudo_label_network import PseudoLabelConfig, PseudoLabelNetwork
from pcclust.methods.stages import Previous, Shapes, Stage, of_stage
from pcclust.methods.unlabelled import describe_shapes, described_channels
from pcclust.nn.weights import read_card
from pcclust.training import Progress


@dataclass(frozen=True, kw_only=True)
class PipelineConfig:
    """The settings of all stages.

    Attributes:
        contrastnet: of the first stage. Data, points, up axis, seed, precision, workers and
            logging are those of all stages.
        clusters: how many clusters the features of whole shapes fall into.
        statistics: put the statistics of RRI, which need no training, beside the features before.
        whiten: components that the features are whitened to before; 0 for none.
        l2: bring the features to length one before.
        rounds: how often shapes are clustered and a network is trained on the clusters; each round
            clusters the features of the network before. 0 for ContrastNet alone.
        network: of the networks on the clusters.
    """

    contrastnet: Annotated[ContrastNetConfig, arg(name="")]
    clusters: int = 300
    statistics: bool = False
    whiten: int = 0
    l2: bool = False
    rounds: int = 1
    network: PseudoLabelConfig = field(default_factory=PseudoLabelConfig)

    method: ClassVar[str] = "contrastnet"

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise ValueError(f"clusters={self.clusters} must be at least 2")
        for name in ("whiten", "rounds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")

    def of_round(self, number: int) -> PseudoLabelConfig:
        """Returns the settings of the network of a round, from 1."""
        return of_stage(self.contrastnet, self.network, number, num_clusters=self.clusters)


class PseudoLabelStage:
    """Clusters whole shapes by the features of the stage before, and by statistics if asked.

    Args:
        config: the settings.
        number: of the round, from 1.
        shapes: N of them.
        previous: the stages before.
    """

    def __init__(
        self, config: PipelineConfig, number: int, shapes: PointDataset, previous: Previous
    ) -> None:
        assert previous.weights is not None
        self.config = config
        self.shapes = shapes
        self.weights = previous.weights
        self.before: StoredLabels | None = previous.results.get(labels_of(number - 1))
        self.seed = config.contrastnet.seed + number

    def obtain(self, path: Path, progress: Progress) -> StoredLabels:
        """Returns the clusters, which are computed unless they are there."""
        config, before = self.config, self.before
        names = ("clusters", "statistics", "whiten", "l2")
        settings = {name: getattr(config, name) for name in names}
        key = labels_key(
            settings | {"seed": self.seed},
            read_card(self.weights)["sha256"],
            data_sha256(self.shapes),
            None if before is None else before.key,
        )
        file = path.with_name(f"{path.name}.npz")
        stored = read_labels(file, key)
        if stored is not None:
            return stored
        found = pseudo_labels(
            self._features(progress),
            config.clusters,
            whiten=PCAWhitening(config.whiten) if config.whiten else None,
            l2=config.l2,
            previous=None if before is None else before.labels,
            random_state=self.seed,
        )
        file.parent.mkdir(parents=True, exist_ok=True)
        return write_labels(file, key, settings, found, self.shapes.names)

    def _features(self, progress: Progress) -> torch.Tensor:
        encoder = load_encoder(self.weights).network
        encoder.to("cuda" if torch.cuda.is_available() else "cpu")
        statistics = self.config.statistics
        return describe_shapes(encoder, self.shapes, statistics=statistics, progress=progress)


def labels_of(number: int) -> str:
    """Returns what the clusters of a round are called."""
    return f"round{number}/pseudo_labels"


def stages(config: PipelineConfig, shapes: Shapes) -> list[Stage]:
    """Returns ContrastNet, and of each round the clusters and the network on them.

    Raises:
        ValueError: settings that do not fit the data, e.g. fewer shapes than clusters.
    """
    first = config.contrastnet
    if isinstance(shapes, FeatureSet):
        raise ValueError(f"{first.dataset} holds features, and contrastnet cuts shapes: give these")
    _check_clusters(config, shapes)
    contrastnet = ContrastNet(first, shapes)
    _check_whitening(contrastnet.model.encoder, config)
    if config.rounds:  # so that a mistake shows before hours of training
        trial = torch.arange(len(shapes)) % config.clusters
        network = PseudoLabelNetwork(config.of_round(1), shapes, trial)
        _check_whitening(network.model.backbone, config)
    made = [Stage("contrastnet", lambda *_: contrastnet, first.epochs)]
    for number in range(1, config.rounds + 1):
        made += _round(config, number, shapes)
    return made


def _round(config: PipelineConfig, number: int, shapes: PointDataset) -> list[Stage]:
    name = labels_of(number)

    def network(_: Shapes, previous: Previous) -> PseudoLabelNetwork:
        return PseudoLabelNetwork(config.of_round(number), shapes, previous[name].labels)

    return [
        Stage(name, lambda _, previous: PseudoLabelStage(config, number, shapes, previous)),
        Stage(f"round{number}/network", network, config.network.epochs),
    ]


def publish(config: PipelineConfig, previous: Previous) -> tuple[nn.Module, dict[str, Any]]:
    """Returns the encoder of the last stage, and its card."""
    card: dict[str, Any] = dict(previous.load().__dict__["card"])
    assert previous.weights is not None
    encoder = load_encoder(previous.weights).network
    made: dict[str, Any] = {"class_names": [], "parameters": count_parameters(encoder)}
    if config.rounds:
        made["pseudo_labels"] = previous[labels_of(config.rounds)].summary()
    return encoder, card | made


def _check_clusters(config: PipelineConfig, shapes: PointDataset) -> None:
    if config.rounds and config.clusters > len(shapes):
        raise ValueError(
            f"clusters={config.clusters} exceeds the {len(shapes):,} shapes of "
            f"{config.contrastnet.dataset}: give fewer --clusters"
        )


def _check_whitening(encoder: nn.Module, config: PipelineConfig) -> None:
    channels = described_channels(encoder, config.statistics)
    if config.whiten > channels:
        beside = " and statistics of RRI" if config.statistics else ""
        raise ValueError(
            f"whiten={config.whiten} exceeds the {channels} features of "
            f"{type(encoder).__name__}{beside}"
        )
