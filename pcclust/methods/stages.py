"""What a method is made of: stages, and what each leaves for the next."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from torch import nn

from pcclust.data import PointDataset
from pcclust.data.feature_file import is_feature_file
from pcclust.methods.features import EncodeOnce, FeatureSet, open_features
from pcclust.methods.unlabelled import open_unlabelled
from pcclust.methods.views import SHARED, DataConfig
from pcclust.nn.weights import load
from pcclust.training import Method, Progress
from pcclust.training.config import built_config

Shapes: TypeAlias = PointDataset | FeatureSet
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
