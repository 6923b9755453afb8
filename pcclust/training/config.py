"""Settings of a run: dataclasses, filled from the command line, a YAML file and defaults."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias, TypeVar, Union

from tyro.constructors import PrimitiveConstructorSpec

from pcclust._extras import require
from pcclust._files import whole_file
from pcclust._names import nearest, todays_names
from pcclust._version import __version__

Built = TypeVar("Built")


def parse_kwargs(pairs: list[str]) -> dict[str, Any]:
    """Returns settings given as NAME=VALUE, the values read as in a config file.

    Raises:
        ValueError: something without a name or an equals sign, or a value that is not YAML.

    Example:
        >>> from pcclust.training.config import parse_kwargs
        >>> parse_kwargs(["k=20", "channels=[64, 128]"])
        {'k': 20, 'channels': [64, 128]}
    """
    yaml = require("yaml", "config files")
    settings = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name.isidentifier() and equals):
            raise ValueError(f"{pair!r} is not NAME=VALUE")
        try:
            settings[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(f"the value of {pair!r} is not YAML") from error
    return settings


# Arguments whose names only the model knows: NAME=VALUE on the command line.
ModelKwargs: TypeAlias = Annotated[
    dict[str, Any],
    PrimitiveConstructorSpec(
        nargs="*",
        metavar="[NAME=VALUE …]",
        instance_from_str=parse_kwargs,
        is_instance=lambda value: isinstance(value, dict),
        str_from_instance=lambda given: [f"{name}={given[name]}" for name in given],
    ),
]


Schedule: TypeAlias = Literal["cosine", "constant", "step", "trapezoid"]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a run goes, whatever it trains; each method adds its own settings in a subclass.

    Attributes:
        epochs: how often each training shape is seen; 0 leaves the network untrained, to compare
            with. The learning rate follows from how many there are, so a run that is cut short
            and resumed is the same run.
        batch_size: shapes of a step, in all processes together.
        accumulate: parts that each process makes of its share of a batch, one after the other, to
            save memory. As many parts in all, processes times these, are the same run to rounding.
        optimizer: "adamw", or "sgd" with Nesterov momentum 0.9.
        learning_rate: the highest one; by default 0.001 for adamw and 0.1 for sgd.
        weight_decay: of weight matrices; biases and norms have none.
        warmup_epochs: over which the learning rate rises from 0.
        schedule: of the learning rate after that: it falls by a "cosine" to 0, stays "constant",
            falls to a tenth after half of the "step"s and to a hundredth after three quarters, or
            as a "trapezoid" stays and falls in a line to 0 over the last quarter of all steps.
        clip_norm: the largest norm of the gradient; by default there is no limit.
        precision: of the forward pass; weights and their updates are float32.
        seed: of the weights, the order, the augmentation, the dropout and the split.
        workers: threads that prepare batches; they change no result.
        log_every: steps between two losses in the log.
        checkpoint_minutes: the longest time between two checkpoints; one is made each epoch, too.
    """

    epochs: int = 30
    batch_size: int = 32
    accumulate: int = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float | None = None
    weight_decay: float | None = None
    warmup_epochs: float = 1.0
    clip_norm: float | None = None
    schedule: Schedule = "cosine"
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    workers: int = 2
    log_every: int = 50
    checkpoint_minutes: float = 5.0

    # What a config file and a checkpoint call the method.
    method: ClassVar[str]
    # What may differ when a run is resumed: it changes no result.
    FREE: ClassVar[tuple[str, ...]] = ("workers", "log_every", "checkpoint_minutes")
    DEFAULTS: ClassVar[dict[str, tuple[float, float]]] = {"adamw": (1e-3, 0.05), "sgd": (0.1, 1e-4)}

    def __post_init__(self) -> None:
        rate, decay = self.DEFAULTS.get(self.optimizer, (None, None))
        if self.learning_rate is None:
            object.__setattr__(self, "learning_rate", rate)
        if self.weight_decay is None:
            object.__setattr__(self, "weight_decay", decay)
        for name in ("batch_size", "accumulate", "learning_rate", "log_every", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name}={value} must be positive")
        counts = ("epochs", "seed", "workers")
        for name in (*counts, "weight_decay", "warmup_epochs", "checkpoint_minutes"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name}={getattr(self, name)} must not be negative")


def built_config(kind: type[Built], *settings: Mapping[str, Any], missing: object = None) -> Built:
    """Builds settings in which others are nested.

    Args:
        kind: their dataclass.
        settings: by name, nested ones as mappings; later ones come first.
        missing: stands for what must be given and is not; if None that is an error.

    Raises:
        TypeError: something is missing, or a name does not exist.
        ValueError: a value that is wrong.
    """
    hints = typing.get_type_hints(kind)
    values = {name: value for given in settings for name, value in given.items()}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]
        name, hint = field.name, hints[field.name]
        required = field.default is field.default_factory is dataclasses.MISSING
        if dataclasses.is_dataclass(hint):
            nested = [given[name] for given in settings if name in given]
            values[name] = built_config(typing.cast(type[Any], hint), *nested, missing=missing)
        elif required and name not in values and missing is not None:
            values[name] = missing
    return kind(**values)


def write_config(path: Path, config: Any) -> None:  # noqa: ANN401 - or settings with such inside
    """Writes all settings of a run as a YAML file that `read_config` reads."""
    settings = {"method": config.method} | dataclasses.asdict(config)
    text = require("yaml", "config files").safe_dump(settings, sort_keys=False, allow_unicode=True)
    with whole_file(path) as file:
        file.write(f"# The settings of a run of pcclust {__version__}\n{text}".encode())


def read_config(path: Path, kind: type[Any]) -> dict[str, Any]:
    """Reads the settings that a YAML file gives; those it leaves out are not in the result.

    Args:
        path: the file.
        kind: the dataclass of the settings.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not YAML, a setting that does not exist (names the nearest), a value of the
            wrong type, or the settings of another method.
        ImportError: PyYAML is not installed.
    """
    yaml = require("yaml", "config files")
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such config file")
    try:
        given = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not YAML: {error}") from error
    if not isinstance(given, dict):
        raise ValueError(f"{path} must be a list of `name: value`, one a line")
    method = given.pop("method", kind.method)
    if method != kind.method:
        raise ValueError(f"{path} is for the method {method!r}; this command runs {kind.method!r}")
    return _settings(todays_names(given), kind, str(path))


def differences(before: dict[str, Any], now: TrainingConfig) -> list[str]:
    """Returns in words what differs, as far as it changes results, from the settings ``before``."""
    before, after = todays_names(before), dataclasses.asdict(now)
    names = [name for name in {**before, **after} if name not in now.FREE]
    return [
        f"{name} was {before.get(name)!r} and is {after.get(name)!r}"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _settings(given: dict[str, Any], kind: type[Any], where: str) -> dict[str, Any]:
    """Returns values of YAML as the types of a dataclass's fields, nested ones as dicts."""
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    for name in given:
        if name not in names:
            raise ValueError(f"{where}: there is no setting {name!r}{nearest(str(name), names)}")
    return {
        name: _converted(value, hints[name], f"{where}: {name}") for name, value in given.items()
    }


def _converted(value: object, hint: type[Any], where: str) -> object:
    """Returns a value of YAML as the type of a field, or raises."""
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _settings(value, hint, where)
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        if value not in options:
            raise ValueError(f"{where}={value!r} is none of {', '.join(map(repr, options))}")
        return value
    if origin in (Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        return _converted(value, next(o for o in options if o is not type(None)), where)
    if origin is tuple and isinstance(value, (list, tuple)):  # YAML has no tuples
        return tuple(_converted(item, options[0], where) for item in value)
    if hint is float and not isinstance(value, bool):  # YAML 1.1 takes 1e-3 for a string
        try:
            return float(value)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            pass
    expected = origin or hint
    if not isinstance(value, expected) or (isinstance(value, bool) and expected is not bool):
        raise ValueError(f"{where}={value!r} must be of the type {expected.__name__}")
    return value
