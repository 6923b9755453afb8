"""ContrastNet's pipeline: parts contrasted, whole shapes clustered, a network trained on clusters.

In its folder each stage has its own: ``contrastnet``, then for each round ``roundN`` with
``pseudo_labels.npz`` and ``network``; the result is ``weights.safetensors`` and its card.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import nn
from tyro.conf import arg

from pcclust.cluster import PCAWhitening, pseudo_labels
from pcclust.data import PointDataset
from pcclust.data.fingerprint import data_sha256
from pcclust.methods._backbone import count_parameters
from pcclust.methods.contrastnet import ContrastNet, ContrastNetConfig
from pcclust.methods.pseudo_label_file import StoredLabels, labels_key, read_labels, write_labels
from pcclust.methods.pseudo_label_network import PseudoLabelConfig, PseudoLabelNetwork
from pcclust.methods.unlabelled import describe_shapes, described_channels, open_unlabelled
from pcclust.nn import Classifier
from pcclust.nn.weights import load, read_card, save_weights
from pcclust.training import Method, Outcome, RunFolder, Watcher, fit
from pcclust.training.run_folder import CONFIG

LABELS = "pseudo_labels.npz"
Tell = Callable[[str], None]


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

    def __post_init__(self) -> None:
        if self.clusters < 2:
            raise ValueError(f"clusters={self.clusters} must be at least 2")
        for name in ("whiten", "rounds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")

    def of_round(self, number: int) -> PseudoLabelConfig:
        """Returns the settings of the network of a round, from 1."""
        first = self.contrastnet
        shared = ("dataset", "num_points", "up_axis", "precision", "workers", "log_every")
        return replace(
            self.network,
            num_clusters=self.clusters,
            seed=first.seed + number,
            checkpoint_minutes=first.checkpoint_minutes,
            **{name: getattr(first, name) for name in shared},
        )


class ContrastNetPipeline:
    """Runs the stages one after the other; what is done already is left as it is.

    Call `run` again with the same settings and folder to go on, wherever it was interrupted:
    training resumes with the bits of an uninterrupted run, features and clusters, which take
    minutes, begin anew, and complete stages are skipped. A stage belongs to settings and data: with
    others it is refused (training) or done anew (clusters).

    Args:
        config: the settings.
        out: the folder.
        watchers: of the training.
        tell: gets what there is to say between, a line each.

    Raises:
        FileNotFoundError: the data are not there.
        FileExistsError: the folder holds something else.
        ValueError: settings that do not fit the data, e.g. fewer shapes than clusters; several
            processes.
    """

    def __init__(
        self,
        config: PipelineConfig,
        out: str | os.PathLike[str],
        *,
        watchers: Sequence[Watcher] = (),
        tell: Tell = lambda line: None,
    ) -> None:
        self.config = config
        self.out = Path(out)
        self.watchers = watchers
        self.tell = tell
        first = config.contrastnet
        self._check_place()
        self.shapes = open_unlabelled(first.dataset, first.num_points, first.up_axis)
        self.data_sha256 = data_sha256(self.shapes)
        self._check_clusters(self.shapes)
        self.contrastnet = ContrastNet(first, self.shapes)
        _check_whitening(self.contrastnet.model.encoder, config)
        if config.rounds:  # so that a mistake shows before hours of training
            trial = torch.arange(len(self.shapes)) % config.clusters
            _check_whitening(self._network(1, trial).model.backbone, config)

    def run(self, *, minutes: float | None = None) -> Outcome:
        """Runs what is not done.

        Args:
            minutes: stop training and save after so long; no limit if None.

        Returns:
            How the last stage that ran ended.

        Raises:
            ValueError: a stage of other settings or data, a damaged checkpoint, or features that
                are all the same.
            DivergedError: a loss is NaN or inf.
            OSError: something cannot be written.

        Warns:
            ClusterCollapseWarning: the clusters are so uneven that few of them hold most shapes.
        """
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        outcome = self._fit(self.contrastnet, "contrastnet", deadline)
        source, stored = self.out / "contrastnet", None
        for number in range(1, self.config.rounds + 1):
            if not outcome.complete:
                return outcome
            stored = self._labels(number, source, stored)
            name = f"round{number}/network"
            outcome = self._fit(self._network(number, stored.labels), name, deadline)
            source = self.out / name
        if outcome.complete:
            self._publish(source, stored)
        return outcome

    def _fit(self, method: Method, name: str, deadline: float | None) -> Outcome:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0) / 60
        run = RunFolder(self.out / name)
        return fit(method, run, resume=True, minutes=left, watchers=self.watchers)

    def _network(self, number: int, labels: torch.Tensor) -> PseudoLabelNetwork:
        return PseudoLabelNetwork(self.config.of_round(number), self.shapes, labels)

    def _labels(self, number: int, source: Path, before: StoredLabels | None) -> StoredLabels:
        """Returns the clusters of a round, which are computed unless they are there."""
        config, path = self.config, self.out / f"round{number}" / LABELS
        seed = config.contrastnet.seed + number
        names = ("clusters", "statistics", "whiten", "l2")
        settings = {name: getattr(config, name) for name in names}
        weights = read_card(source)["sha256"]
        previous = None if before is None else before.key
        key = labels_key(settings | {"seed": seed}, weights, self.data_sha256, previous)
        stored = read_labels(path, key)
        if stored is None:
            features = self._features(source)
            found = pseudo_labels(
                features,
                config.clusters,
                whiten=PCAWhitening(config.whiten) if config.whiten else None,
                l2=config.l2,
                previous=None if before is None else before.labels,
                random_state=seed,
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            stored = write_labels(path, key, settings, found, self.shapes.names)
        self.tell(f"round {number}: {stored.describe()}")
        return stored

    def _features(self, source: Path) -> torch.Tensor:
        encoder = _backbone(load(source))
        encoder.to("cuda" if torch.cuda.is_available() else "cpu")
        statistics = self.config.statistics
        return describe_shapes(
            encoder, self.shapes, statistics=statistics, progress=self._tell_progress
        )

    def _tell_progress(self, what: str, done: int, total: int) -> None:
        for watcher in self.watchers:
            watcher.preparing(what, done, total)
            if done == total:
                watcher.stopped()

    def _publish(self, source: Path, stored: StoredLabels | None) -> None:
        """Writes the encoder of the last stage as the result of the whole."""
        model = load(source)
        card: dict[str, Any] = dict(model.__dict__["card"])
        encoder = _backbone(model)
        made = {
            "class_names": [],
            "parameters": count_parameters(encoder),
            "pipeline": asdict(self.config),
        }
        if stored is not None:
            made["pseudo_labels"] = stored.summary()
        save_weights(self.out, encoder, card | made)
        self.tell(f"{self.out}: complete; the encoder is pcclust.load({str(self.out)!r})")

    def _check_place(self) -> None:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ValueError("the pipeline runs in one process; start it without torchrun")
        if self.out.exists() and not self.out.is_dir():
            raise FileExistsError(f"{self.out} is a file: give another --out")
        if (self.out / CONFIG).exists():
            raise FileExistsError(f"{self.out} holds a run of another command: give another --out")

    def _check_clusters(self, shapes: PointDataset) -> None:
        if self.config.rounds and self.config.clusters > len(shapes):
            raise ValueError(
                f"clusters={self.config.clusters} exceeds the {len(shapes):,} shapes of "
                f"{self.config.contrastnet.dataset}: give fewer --clusters"
            )


def _check_whitening(encoder: nn.Module, config: PipelineConfig) -> None:
    channels = described_channels(encoder, config.statistics)
    if config.whiten > channels:
        beside = " and statistics of RRI" if config.statistics else ""
        raise ValueError(
            f"whiten={config.whiten} exceeds the {channels} features of "
            f"{type(encoder).__name__}{beside}"
        )


def _backbone(model: nn.Module) -> nn.Module:
    return model.backbone if isinstance(model, Classifier) else model
