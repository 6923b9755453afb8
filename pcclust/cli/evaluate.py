"""``pcclust evaluate``: what turns and damage do to a model, and what its features are worth."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import OmitSubcommandPrefixes, subcommand

from pcclust.cli._evaluation import Evaluation, TurnedEvaluation
from pcclust.cli.console import errors, progress_bar
from pcclust.data.corruptions import KINDS, LEVELS
from pcclust.evaluate import Probes, Turns, corruption, linear, rotation
from pcclust.evaluate.labelled import classes_of
from pcclust.evaluate.rotation_report import Trained


@dataclass(frozen=True, kw_only=True)
class Rotation(TurnedEvaluation):
    """Tests a classifier or features on turned shapes: z/z, z/SO3, SO3/SO3, tilt.

    Attributes:
        features: the model gives features: a linear classifier is trained on them, on turns about
            the up axis and on turns in space.
        trained: the turns the model saw in training; a run of pcclust knows.
        tilts: angles of tilt from 0° to 180°; 0 for none.
        tilt_shapes: shapes that are tilted, at most.
    """

    features: bool = False
    trained: Trained | None = None
    tilts: int = 13
    tilt_shapes: int = 500

    def run(self) -> int:
        """Prints the table and writes the report."""
        turns = Turns(self.rotations, self.sampler, self.tilts, self.tilt_shapes, self.seed)
        if self.train_data and not self.features:
            raise ValueError("--train-data is for --features: a classifier has been trained")
        model = self._found(self.features)
        shown = self._opened(model)
        learned = self._learned(model, shown) if self.features else None
        about = self._about(model, shown)
        folder = self._folder(about)
        clouds = turns.cost(len(shown), len(learned) if learned else 0)
        errors.print(
            f"{shown.title}: {clouds:,} clouds to ask about, {1 + 2 * turns.rotations} of each "
            f"shape and {turns.tilts} tilts of up to {turns.tilt_shapes:,}"
        )
        with progress_bar("clouds") as bar:
            task = bar.add_task("turn and ask", total=clouds)
            found = rotation(
                model.model,
                shown.points,
                classes_of(shown),
                trained=self.trained or model.trained,
                train=(learned.points, classes_of(learned)) if learned else None,
                turns=turns,
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

    def run(self) -> int:
        """Prints the table and writes the report."""
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
    """Trains simple classifiers on the features of a model: linear SVM, kNN, few labels.

    Under z/z, z/SO3 and SO3/SO3; nothing is chosen by the labels of test shapes.

    Attributes:
        votes: test shapes as they stand, too, as published numbers have them (upright/upright),
            with the RBF SVC averaged over so many turns of all shapes; its script has
            12. All shapes are encoded once more for each.
        neighbors: how many training shapes vote in the weighted kNN.
        temperature: of these votes.
        landmarks: training shapes that span the kernel map before a linear SVM; 0 for none.
        label_shares: of the training labels that a linear SVM gets, each class its share.
        draws: how often each share is drawn.
    """

    votes: int = 0
    neighbors: int = 20
    temperature: float = 0.07
    landmarks: int = 3000
    label_shares: tuple[float, ...] = (0.01, 0.05, 0.2)
    draws: int = 5

    def run(self) -> int:
        """Prints the tables and writes the report."""
        turns = Turns(self.rotations, self.sampler, tilts=0, seed=self.seed)
        probes = Probes(
            votes=self.votes,
            neighbors=self.neighbors,
            temperature=self.temperature,
            landmarks=self.landmarks,
            label_shares=self.label_shares,
            draws=self.draws,
        )
        model = self._found(features=True)
        shown = self._opened(model)
        learned = self._learned(model, shown)
        about = {**self._about(model, shown), "trained with": learned.title}
        folder = self._folder(about)
        clouds = probes.clouds(len(shown), len(learned), turns.rotations)
        errors.print(
            f"{learned.title}, and {shown.title}: {clouds:,} clouds to encode, "
            f"{probes.machines} classifiers to train"
        )
        with progress_bar("") as bar:
            encoding = bar.add_task("turn and encode", total=clouds)
            training = bar.add_task("train and test", total=probes.machines)
            found = linear(
                model.model,
                shown.points,
                classes_of(shown),
                train=(learned.points, classes_of(learned)),
                turns=turns,
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


Action = (
    Annotated[Rotation, subcommand("rotation")]
    | Annotated[Corruption, subcommand("corruption")]
    | Annotated[Linear, subcommand("linear")]
)


def evaluate(action: OmitSubcommandPrefixes[Action]) -> int:
    """Tests any model on turned or on damaged shapes, or classifiers on its features.

    Args:
        action: what to test.
    """
    return action.run()
