"""Methods as stages that run one after the other, each left as it is once it is done."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from torch import nn

from pcclust._lock import locked_folder
from pcclust.data import PointDataset
from pcclust.data.feature_file import is_feature_file
from pcclust.methods.features import EncodeOnce, FeatureSet, open_features
from pcclust.methods.unlabelled import open_unlabelled
from pcclust.methods.views import SHARED, DataConfig
from pcclust.nn.weights import load, save_weights
from pcclust.training import Callback, Method, Outcome, Progress, RunFolder, fit
from pcclust.training.callback import Plan
from pcclust.training.config import built_config, write_config
from pcclust.training.processes import Processes
from pcclust.training.run_folder import CONFIG, is_left_by_killed

Shapes: TypeAlias = PointDataset | FeatureSet
Tell = Callable[[str], None]
FEATURES = "features"  # the stage that makes them
Later = TypeVar("Later", bound=DataConfig)


class Described(Protocol):
    """What a computation finds."""

    def describe(self) -> str:
        """Says what it is, in a line."""


class Computation(Protocol):
    """A stage that is computed and not trained, in minutes: it begins anew when interrupted."""

    def obtain(self, path: Path, progress: Progress) -> Described:
        """Returns what is in a file of this name, or computes it and writes that file.

        Args:
            path: of the file, without its suffix; its folder may not be there yet.
            progress: is told how far it is.
        """


@dataclass(frozen=True)
class Previous:
    """What the stages before have left.

    Attributes:
        weights: the folder of the last stage that trained, for `pcclust.load`; None before.
        results: what each computed stage has found, by its name.
    """

    weights: Path | None = None
    results: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - each stage has its own
        """Returns what a computed stage has found."""
        return self.results[name]

    def load(self) -> nn.Module:
        """Loads the model of the last stage that trained."""
        assert self.weights is not None
        return load(self.weights)


NOTHING = Previous()


class Stage(NamedTuple):
    """A stage.

    Attributes:
        name: of its folder, if it trains, or of its file without suffix.
        build: returns the method to train or what is to be computed, when its turn has come.
        epochs: of training, for estimates of time.
    """

    name: str
    build: Callable[[Shapes, Previous], Method | Computation]
    epochs: int = 0


def publish_last(config: Any, previous: Previous) -> tuple[nn.Module, dict[str, Any]]:  # noqa: ANN401
    """Returns the model of the last stage that trained, and its card."""
    model = previous.load()
    return model, dict(model.__dict__["card"])


@dataclass(frozen=True)
class Recipe:
    """A method as `pcclust pretrain` runs it; each is a row of `pcclust.methods.METHODS`.

    Attributes:
        about: what it does, for its help: a sentence, and more.
        config: the dataclass of all its settings; stages of their own may be nested in it.
        stages: returns the stages; mistakes in the settings show here, before hours of training.
        presets: settings by name that differ from the defaults, nested as those are; the first one
            is the default.
        data: returns the part of the settings that says which shapes.
        publish: returns the model that is the result of the whole, and its card.
    """

    about: str
    config: type[Any]
    stages: Callable[[Any, Shapes], list[Stage]]
    presets: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"default": {}})
    data: Callable[[Any], DataConfig] = lambda config: config
    publish: Callable[[Any, Previous], tuple[nn.Module, dict[str, Any]]] = publish_last

    @property
    def name(self) -> str:
        """What the method is called."""
        name: str = self.config.method
        return name

    def preset(self, name: str | None = None, **settings: object) -> Any:  # noqa: ANN401
        """Returns the settings of a preset.

        Args:
            name: of the preset; the default one if None.
            **settings: replace those of the preset; nested ones are dicts.
        """
        chosen = next(iter(self.presets)) if name is None else name
        return built_config(self.config, self.presets[chosen], settings)


def open_shapes(config: DataConfig) -> Shapes:
    """Opens the shapes of a method, or a file of features, without labels.

    Raises:
        FileNotFoundError: the data are not there.
        ValueError: fewer than two shapes, or all of them alike.
    """
    if is_feature_file(Path(config.dataset)):
        return open_features(Path(config.dataset))
    return open_unlabelled(
        config.dataset,
        config.num_points,
        config.up_axis,
        split=config.split,
        limit=config.limit,
        seed=config.seed,
    )


def of_stage(
    first: DataConfig,
    later: Later,
    number: int,
    **settings: Any,  # noqa: ANN401
) -> Later:
    """Returns the settings of a later stage, with what all stages share; see `StageFields`.

    Args:
        first: the settings of the method.
        later: those of the stage.
        number: of the stage; its seed is that of the method and so many.
        **settings: what else the stage takes over, e.g. ``num_clusters`` or ``model``.
    """
    shared: dict[str, Any] = {name: getattr(first, name) for name in SHARED}
    return replace(later, seed=first.seed + number, **shared, **settings)


def features_first(config: DataConfig, weights: str | None, shapes: Shapes) -> list[Stage]:
    """Returns the stage that encodes the shapes of a method that learns on features.

    Args:
        config: the settings of the method.
        weights: of the encoder, as `pcclust.load` takes them.
        shapes: of the method.

    Returns:
        Nothing where these are features already; then, or after it, `features_of` returns them.

    Raises:
        ValueError: shapes without an encoder.
    """
    if isinstance(shapes, FeatureSet):
        return []
    if weights is None:
        raise ValueError(
            f"{config.method} learns on features, and {config.dataset} holds shapes: give --init, "
            "the weights of an encoder, or a file of features by pcclust embed"
        )
    return [Stage(FEATURES, lambda *_: EncodeOnce(shapes, weights))]


def features_of(shapes: Shapes, previous: Previous) -> FeatureSet:
    """Returns the features that were given, or made by `features_first`."""
    if isinstance(shapes, FeatureSet):
        return shapes
    found: FeatureSet = previous[FEATURES]
    return found


class Pipeline:
    """Runs the stages of a method one after the other.

    With ``resume`` the same settings and folder go on, wherever it was interrupted: training with
    the bits of an uninterrupted run, computations anew, and complete stages are skipped. A stage
    belongs to settings and data: with others it is refused (training) or done anew (computations).

    Args:
        recipe: the method.
        config: its settings.
        out: the folder: ``config.yaml``, a folder or a file for each stage, and the result,
            ``weights.safetensors`` and its card.
        resume: whether to go on with what is there.
        callbacks: of the training.
        tell: gets what there is to say between, a line each.

    Raises:
        FileNotFoundError: the data are not there.
        FileExistsError: the folder holds something else, or a run and ``resume`` is false.
        ValueError: settings that do not fit the data.
    """

    def __init__(
        self,
        recipe: Recipe,
        config: Any,  # noqa: ANN401 - each method has its own
        out: str | os.PathLike[str],
        *,
        resume: bool = False,
        callbacks: Sequence[Callback] = (),
        tell: Tell = lambda line: None,
    ) -> None:
        self.recipe = recipe
        self.config = config
        self.out = Path(out)
        self.main = os.environ.get("RANK", "0") == "0"
        self.callbacks = callbacks if self.main else ()
        self.tell: Tell = tell if self.main else lambda line: None
        self._check_place(resume)
        self.shapes = open_shapes(recipe.data(config))
        self.stages = recipe.stages(config, self.shapes)

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
            OutputLockedError: another process writes into the folder.

        Warns:
            ClusterCollapseWarning: few of the clusters hold most shapes.
        """
        with locked_folder(self.out if self.main else None):
            return self._run(minutes)

    def _run(self, minutes: float | None) -> Outcome:
        deadline = None if minutes is None else time.monotonic() + 60 * minutes
        outcome = Outcome(complete=True, interrupted=False, epoch=0, results={})
        previous = NOTHING
        for number, stage in enumerate(self.stages):
            self._tell_plan(number)
            built = stage.build(self.shapes, previous)
            self._begin()  # only now: what was refused leaves nothing behind
            if not isinstance(built, Method):
                found = self._obtain(built, self.out / stage.name)
                self.tell(f"{stage.name}: {found.describe()}")
                previous = replace(previous, results={**previous.results, stage.name: found})
                continue
            outcome = self._fit(built, stage.name, deadline)
            if not outcome.complete:
                return outcome
            previous = replace(previous, weights=self.out / stage.name)
        self._publish(previous)
        return outcome

    def _fit(self, method: Method, name: str, deadline: float | None) -> Outcome:
        left = None if deadline is None else max(deadline - time.monotonic(), 0.0) / 60
        run = RunFolder(self.out / name)
        return fit(method, run, resume=True, minutes=left, callbacks=self.callbacks)

    def _obtain(self, computation: Computation, path: Path) -> Described:
        """Lets the main process compute and the others read."""
        with Processes("float32").main_first():
            return computation.obtain(path, self._tell_progress)

    def _publish(self, previous: Previous) -> None:
        """Writes the result of the whole."""
        if not self.main:
            return
        model, card = self.recipe.publish(self.config, previous)
        stages = [stage.name for stage in self.stages]
        made = {"recipe": self.recipe.name, "stages": stages, "pipeline": asdict(self.config)}
        save_weights(self.out, model, card | made)
        clusters = card.get("task") == "clusters"
        what = f"the {'model of clusters' if clusters else 'encoder'} is"
        self.tell(f"{self.out}: complete; {what} pcclust.load({str(self.out)!r})")

    def _begin(self) -> None:
        if self.main:
            self.out.mkdir(parents=True, exist_ok=True)
            write_config(self.out / CONFIG, self.config)

    def _tell_plan(self, number: int) -> None:
        shapes = [stage.epochs * len(self.shapes) for stage in self.stages]
        plan = Plan(self.stages[number].name, sum(shapes[:number]), sum(shapes))
        for callback in self.callbacks:
            callback.planned(plan)

    def _tell_progress(self, what: str, done: int, total: int) -> None:
        for callback in self.callbacks:
            callback.preparing(what, done, total)
            if done == total:
                callback.stopped()

    def _check_place(self, resume: bool) -> None:
        if self.out.exists() and not self.out.is_dir():
            raise FileExistsError(f"{self.out} is a file: give another --out")
        settings = self.out / CONFIG
        if settings.exists():
            begun = f"method: {self.recipe.name}\n" in settings.read_text(encoding="utf-8")
            if not begun:
                raise FileExistsError(
                    f"{self.out} holds a run of another command: give another --out"
                )
            if not resume and self.main:
                raise FileExistsError(
                    f"{self.out} holds a run already: go on with it by --resume, or give another "
                    "--out"
                )
        elif self.out.exists() and not all(map(is_left_by_killed, self.out.iterdir())):
            raise FileExistsError(f"{self.out} is there and is no run: give another --out")
