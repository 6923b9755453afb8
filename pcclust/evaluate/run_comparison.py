"""Runs of clustering methods, and clusterings of features, on the same shapes side by side."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pcclust.evaluate.cluster_methods import METHODS, Clustering
from pcclust.evaluate.cluster_runs import measured_run
from pcclust.evaluate.cluster_runs_report import ClusterRunsReport, MeasuredRun, RunGroup
from pcclust.evaluate.forward import Advance, Layout, Model
from pcclust.evaluate.own_clusters import OwnClusters
from pcclust.evaluate.posed_features import Posed, fingerprint, posed_features
from pcclust.evaluate.pretrained_runs import PretrainedRun
from pcclust.evaluate.rotations import Rotations

Ints = NDArray[np.int64]


class Shown(NamedTuple):
    """What is clustered: shapes, or features of them.

    Attributes:
        points: ``(N, P, 3)``, centred, or features ``(N, C)``.
        labels: ``(N,)`` classes, or None.
    """

    points: Tensor | NDArray[np.floating]
    labels: Ints | None


@dataclass(frozen=True)
class Baselines:
    """Clusterings of the features of an encoder, to compare with.

    Attributes:
        methods: names in `pcclust.evaluate.cluster_methods.METHODS`.
        n_clusters: that they make.
        seeds: of each that has randomness.
        seed: the first.
    """

    methods: Sequence[str] = ()
    n_clusters: int = 0
    seeds: int = 5
    seed: int = 0


@dataclass(frozen=True)
class RunComparison:
    """Shows all the same shapes, as they stand and turned.

    Attributes:
        runs: that have clusters of their own.
        baselines: beside them.
        fitted: the shapes that baselines are fitted on, and runs are shown.
        test: held-out shapes; None for none.
        encoder: makes the features of baselines, and of runs that were trained on features; a
            module or a function.
        rotations: how shapes are turned.
        layout: of the clouds that the encoder takes.
        batch_size: shapes an encoder is asked about at once, at most.
        device: where encoders run; if None where their parameters are.

    Raises:
        ValueError: nothing to compare, runs that were trained on features without an encoder, more
            clusters than shapes, or labels on one side only.
    """

    runs: Sequence[PretrainedRun]
    fitted: Shown
    test: Shown | None = None
    baselines: Baselines = field(default_factory=Baselines)
    encoder: Model | None = None
    rotations: Rotations = field(default_factory=lambda: Rotations(rounds=3, tilts=0))
    layout: Layout = "auto"
    batch_size: int = 32
    device: str | None = None

    def __post_init__(self) -> None:
        if not self.runs and not self.baselines.methods:
            raise ValueError("give runs of pcclust pretrain, or methods to cluster features by")
        if self.test and (self.test.labels is None) != (self.fitted.labels is None):
            raise ValueError(
                "labels are needed on both sides or none: what clusters stand for is fitted on one "
                "and measured on the other"
            )
        count = len(self.fitted.points)
        if self.baselines.methods and not 1 <= self.baselines.n_clusters <= count:
            raise ValueError(
                f"{count:,} shapes cannot be put into {self.baselines.n_clusters} clusters"
            )
        for run in self.runs:
            if self.of_shapes and run.on_features and self.encoder is None:
                raise ValueError(
                    f"{run.name} was trained on features, and the data are shapes: give the "
                    "encoder that made the features, by --weights"
                )

    @property
    def of_shapes(self) -> bool:
        """Whether shapes are given, and not features."""
        return isinstance(self.fitted.points, Tensor)

    def clouds(self) -> int:
        """Returns how many clouds encoders will be asked about."""
        if not self.of_shapes:
            return 0
        shapes = len(self.fitted.points) + (len(self.test.points) if self.test else 0)
        return len(self._by_encoder()) * (1 + self.rotations.rounds) * shapes

    def compare(
        self,
        about: Mapping[str, str],
        class_names: Sequence[str] = (),
        advance: Advance = lambda clouds: None,
    ) -> ClusterRunsReport:
        """Encodes the shapes once for each encoder, and measures every clustering.

        Args:
            about: what is tested on what, in words.
            class_names: of the labels.
            advance: called with the number of clouds of each batch.

        Raises:
            ValueError: an encoder that fails, or features of another width than a run knows.
        """
        tested: dict[int, MeasuredRun] = {}
        groups = self._groups()
        first = {numbers[0] for numbers in groups.values()}
        for numbers in self._by_encoder().values():
            fitted, test = self._posed(numbers[0], advance)
            for number in numbers:
                tested[number] = self._tested(number, fitted, test, keep_space=number in first)
        return ClusterRunsReport(
            tuple(
                RunGroup(title, tuple(tested[number] for number in numbers))
                for title, numbers in groups.items()
            ),
            self.fitted.labels,
            tuple(class_names),
            about,
            self._settings(),
            self._notes(),
        )

    def _entries(self) -> list[PretrainedRun | tuple[str, int]]:
        """Returns all that is compared: runs, then baselines as method and seed."""
        given = self.baselines
        seeds = range(given.seed, given.seed + given.seeds)
        baselines = [
            (name, seed)
            for name in given.methods
            for seed in (seeds if METHODS[name].seeded else seeds[:1])
        ]
        return [*self.runs, *baselines]

    def _by_encoder(self) -> dict[str, list[int]]:
        """Returns which entries share an encoder."""
        shared: dict[str, list[int]] = {}
        for number, entry in enumerate(self._entries()):
            key = ""
            if self.of_shapes and isinstance(entry, PretrainedRun) and not entry.on_features:
                key = fingerprint(entry.model.backbone)
            shared.setdefault(key, []).append(number)
        return shared

    def _groups(self) -> dict[str, list[int]]:
        """Returns which entries differ by their seed alone, by what tables call them."""
        alike: dict[str, list[int]] = {}
        titles: dict[str, str] = {}
        for number, entry in enumerate(self._entries()):
            if isinstance(entry, PretrainedRun):
                key, title = entry.settings, entry.method
                if title in titles.values() and key not in titles:
                    title = f"{entry.method}, {entry.name}"
            else:
                key = title = METHODS[entry[0]].title
            titles.setdefault(key, title)
            alike.setdefault(key, []).append(number)
        return {titles[key]: numbers for key, numbers in alike.items()}

    def _posed(self, number: int, advance: Advance) -> tuple[Posed, Posed | None]:
        """Returns the features by the encoder of an entry."""
        entry = self._entries()[number]
        own = isinstance(entry, PretrainedRun) and not entry.on_features
        encoder = entry.model.backbone if own else self.encoder  # type: ignore[union-attr]
        posed = []
        for side, shown in enumerate((self.fitted, self.test)):
            if shown is None or not isinstance(shown.points, Tensor):
                posed.append(None if shown is None else Posed(np.asarray(shown.points)))
                continue
            assert encoder is not None
            posed.append(
                posed_features(
                    encoder,
                    shown.points,
                    self.turns(side),
                    layout="BN3" if own else self.layout,
                    batch_size=self.batch_size,
                    device=self.device,
                    advance=advance,
                )
            )
        assert posed[0] is not None
        return posed[0], posed[1]

    def turns(self, side: int) -> Rotations:
        """Returns how the fitted (0) or the test shapes (1) are turned."""
        told = self.rotations
        return Rotations(told.rounds, told.sampler, 0, told.tilt_shapes, told.seed + side)

    def _tested(
        self, number: int, fitted: Posed, test: Posed | None, *, keep_space: bool
    ) -> MeasuredRun:
        entry = self._entries()[number]
        labels, test_labels = self.fitted.labels, self.test.labels if self.test else None
        if isinstance(entry, PretrainedRun):
            own = OwnClusters(entry.model.head)
            try:
                found = Clustering(own(fitted.upright), own)
            except ValueError as error:
                raise ValueError(f"{entry.name}: {error}") from error
            name, seed, count, sizes = entry.name, entry.seed, own.num_clusters, entry.sizes
        else:
            (method, seed), count, sizes = entry, self.baselines.n_clusters, None
            found = METHODS[method].run(fitted.upright, count, seed)
            name = f"{METHODS[method].title}, seed {seed}"
            if method == "hdbscan":
                count = len(np.unique(found.clusters))
        return measured_run(
            found,
            fitted,
            labels,
            test,
            test_labels,
            name=name,
            seed=seed,
            n_clusters=count,
            sizes=sizes,
            keep_space=keep_space,
        )

    def _settings(self) -> dict[str, int | float | str]:
        if not self.of_shapes:  # features are not turned
            return {}
        told = self.rotations
        return {
            "seed of the turns": told.seed,
            "rotations": told.rounds,
            "sampler": told.sampler,
        }

    def _notes(self) -> tuple[str, ...]:
        notes = ["± is the sample standard deviation over runs that differ by their seed alone."]
        if self.fitted.labels is not None:
            notes.append(
                "ACC: best one-to-one map of clusters to classes (Hungarian), fitted once, on the "
                "shapes of the first table as they stand; all else is measured by that map. NMI: "
                "arithmetic mean. Labels measure and choose nothing."
            )
        if self.of_shapes:
            notes.append(
                "“Turned”: every shape by an arbitrary rotation, the mean of "
                f"{self.rotations.rounds} rounds; “same when turned”: the shapes that stay in "
                "their cluster in every round."
            )
        notes.append(
            "Silhouette: in the features that each run itself clusters, so it compares seeds, not "
            "methods; “seeds agree”: mean adjusted Rand index between two runs, in %."
        )
        return tuple(notes)
