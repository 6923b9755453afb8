"""``pcclust evaluate``: rotations, corruptions, linear evaluation, clusters of any model."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from tyro.conf import arg

from pcclust.cli._evaluate_clustering import ClusterRuns
from pcclust.cli._evaluation import Evaluation, TurnedEvaluation
from pcclust.cli._help import purpose
from pcclust.cli.console import UsageError, errors, progress_bar
from pcclust.data.corruptions import KINDS, LEVELS
from pcclust.evaluate import Probes, Rotations, corruption, linear, rotation
from pcclust.evaluate.labelled import classes_of
from pcclust.evaluate.near_ties import who_knows_near_ties
from pcclust.evaluate.rotation_report import Trained


@dataclass(frozen=True, kw_only=True)
class Rotation(TurnedEvaluation):
    """Tests a classifier or features on turned shapes: z/z, z/SO3, SO3/SO3, tilt.

    Attributes:
        features: the model gives features: a linear classifier is trained on them, rotated about
            the up axis and arbitrarily.
        trained: the rotations the model saw in training; a run of pcclust knows.
        tilts: angles of tilt from 0° to 180°; 0 for none.
        tilt_shapes: shapes that are tilted, at most.
    """

    features: bool = False
    trained: Trained | None = None
    tilts: int = 13
    tilt_shapes: int = 500

    def _run(self) -> int:
        rotations = Rotations(self.rotations, self.sampler, self.tilts, self.tilt_shapes, self.seed)
        if self.train_data and not self.features:
            raise UsageError("--train-data is for --features: a classifier has been trained")
        model = self._found(self.features)
        shown = self._opened(model)
        learned = self._learned(model, shown) if self.features else None
        about = self._about(model, shown)
        folder = self._folder(about)
        clouds = rotations.cost(len(shown), len(learned) if learned else 0)
        errors.print(
            f"{shown.title}: {clouds:,} clouds to ask about, {1 + 2 * rotations.rounds} of each "
            f"shape and {rotations.tilts} tilts of up to {rotations.tilt_shapes:,}"
        )
        ties = len(shown) if who_knows_near_ties(model.model) else 0
        with progress_bar("clouds") as bar:
            task = bar.add_task("turn and ask", total=clouds + ties)
            found = rotation(
                model.model,
                shown.points,
                classes_of(shown),
                trained=self.trained or model.trained,
                train=(learned.points, classes_of(learned)) if learned else None,
                rotations=rotations,
                up_axis=self._known_up_axis(model, shown),
                class_names=shown.class_names,
                names=shown.names,
                layout=self.layout,
                batch_size=self.batch_size,
                device=self.device,
                about=about,
                advance=lambda count: bar.advance(task, count),
            )
        return self._finish(found, folder)


@dataclass(frozen=True, kw_only=True)
class Corruption(Evaluation):
    """Tests a classifier on damaged shapes: the seven corruptions of PointCloud-C."""

    def _run(self) -> int:
        model = self._found()
        shown = self._opened(model)
        about = self._about(model, shown)
        folder = self._folder(about)
        clouds = len(shown) * (1 + len(KINDS) * len(LEVELS))
        errors.print(f"{shown.title}: {clouds:,} clouds to ask about, 36 of each shape")
        with progress_bar("clouds") as bar:
            task = bar.add_task("damage and ask", total=clouds)
            found = corruption(
                model.model,
                shown.points,
                classes_of(shown),
                class_names=shown.class_names,
                layout=self.layout,
                batch_size=self.batch_size,
                device=self.device,
                seed=self.seed,
                about=about,
                advance=lambda count: bar.advance(task, count),
            )
        return self._finish(found, folder)


@dataclass(frozen=True, kw_only=True)
class Linear(TurnedEvaluation):
    """Trains classifiers on the features of a model: linear SVM, kNN, few labels.

    Under z/z, z/SO3 and SO3/SO3; nothing is chosen by the labels of test shapes.

    Attributes:
        azimuths: test shapes as they stand, too, as published numbers have them (upright/upright),
            with the RBF SVC averaged over so many rotations of all shapes; its script has
            12. All shapes are encoded once more for each.
        neighbors: how many training shapes vote in the weighted kNN.
        temperature: of these votes.
        landmarks: training shapes that span the kernel map, 0 for none; by default all up to
            12,000, with least squares on their map, and of more 3,000, with a linear SVM.
        components: of the spectral map of training shapes, with and without labels, beside which a
            linear SVM is trained, too; 0 for none.
        label_fractions: of the training labels that a linear SVM gets, each class its share.
        repeats: how often each fraction is drawn.
    """

    azimuths: Annotated[int, arg(aliases=["--votes"])] = 0
    neighbors: int = 20
    temperature: float = 0.07
    landmarks: int | None = None
    components: int = 40
    label_fractions: Annotated[tuple[float, ...], arg(aliases=["--label-shares"])] = (
        0.01,
        0.05,
        0.2,
    )
    repeats: Annotated[int, arg(aliases=["--draws"])] = 5

    def _run(self) -> int:
        rotations = Rotations(self.rotations, self.sampler, tilts=0, seed=self.seed)
        probes = Probes(
            azimuths=self.azimuths,
            neighbors=self.neighbors,
            temperature=self.temperature,
            landmarks=self.landmarks,
            components=self.components,
            label_fractions=self.label_fractions,
            repeats=self.repeats,
        )
        model = self._found(features=True)
        shown = self._opened(model)
        learned = self._learned(model, shown)
        about = {**self._about(model, shown), "trained with": learned.title}
        folder = self._folder(about)
        clouds = probes.clouds(len(shown), len(learned), rotations.rounds)
        errors.print(
            f"{learned.title}, and {shown.title}: {clouds:,} clouds to encode, "
            f"{probes.classifiers} classifiers to train"
        )
        with progress_bar("") as bar:
            encoding = bar.add_task("turn and encode", total=clouds)
            training = bar.add_task("train and test", total=probes.classifiers)
            found = linear(
                model.model,
                shown.points,
                classes_of(shown),
                train=(learned.points, classes_of(learned)),
                rotations=rotations,
                probes=probes,
                up_axis=self._known_up_axis(model, shown),
                class_names=shown.class_names,
                layout=self.layout,
                batch_size=self.batch_size,
                device=self.device,
                about=about,
                advance=lambda count: bar.advance(encoding, count),
                trained=lambda: bar.advance(training),
            )
        return self._finish(found, folder)


KIND, MORE = "test", "pcclust evaluate TEST --help says more, with an example."
# Each with an example.
ACTIONS = {
    "rotation": "pcclust evaluate rotation runs/clusternet --report out/clusternet",
    "corruption": "pcclust evaluate corruption runs/clusternet --report out/clusternet",
    "linear": "pcclust evaluate linear clusternet-contrastnet-modelnet40 --data modelnet10",
    "clustering": "pcclust evaluate clustering runs/scan runs/spice --data modelnet10",
}
_TESTS: dict[str, type[Evaluation | ClusterRuns]] = {
    "rotation": Rotation,
    "corruption": Corruption,
    "linear": Linear,
    "clustering": ClusterRuns,
}


def purposes() -> dict[str, str]:
    """Returns what each test is for."""
    return {name: purpose(test) for name, test in _TESTS.items()}


def action(name: str, arguments: Sequence[str]) -> tuple[type[Any], None]:
    """Returns the test of a name."""
    return _TESTS[name], None
