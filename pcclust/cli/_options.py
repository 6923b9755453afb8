"""What options are for and mean, and how they are called where the library speaks of arguments."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import Field, fields, is_dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple, get_args, get_origin

from pcclust.nn.weights_source import HUB

# The options of a command, by what they are for, in this order; what a method adds comes first.
OWN = "method"
GROUPS = {
    "data": (
        "dataset", "split", "classes", "limit", "num_points", "normalize", "raw", "rotate",
        "up_axis", "test", "train_data", "train_limit", "val_fraction", "per_class", "data", "root",
        "shapes", "max_points",
    ),
    "model": ("model", "model_kwargs", "weights", "init", "layout"),
    "features": ("k",),
    "clusters": ("clusters", "num_clusters", "method", "seeds", "whiten", "l2"),
    "rotations": ("features", "trained", "rotations", "sampler", "tilts", "tilt_shapes"),
    "classifiers": (
        "azimuths", "neighbors", "temperature", "landmarks", "components", "label_fractions",
        "repeats",
    ),
    "views": (
        "rotation", "jitter", "max_scale", "stretch", "tilt", "max_shift", "crop", "view_points",
    ),
    "training": (
        "epochs", "optimizer", "learning_rate", "weight_decay", "warmup_epochs", "schedule",
        "clip_norm", "label_smoothing", "accumulate",
    ),
    "output": ("out", "format", "color", "points", "report", "private", "message"),
    "shards": ("shards", "shard", "dtype", "engine", "address", "gpus"),
    "run": (
        "resume", "seed", "batch_size", "device", "workers", "minutes", "config", "preset",
        "logger", "tensorboard", "precision", "log_every", "checkpoint_minutes", "offline",
    ),
}  # fmt: skip
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
# A batch of a training is a setting of it; elsewhere it changes nothing but memory.
TRAINING_GROUP_OF = GROUP_OF | {"batch_size": "training"}

# What no command can do with less of.
LEAST = {"seed": 0, "limit": 1, "train_limit": 1, "num_points": 1, "batch_size": 1, "k": 1}

TRAINED = (
    "a name of weights that come with pcclust, the folder of a run, a .safetensors file with its "
    f"card, or {HUB}OWNER/REPOSITORY[@REVISION]"
)
CODE = "file.py:Name or package.module:Name of your own"
# The help of an option, whichever command has it.
SAID = {
    "resume": "go on where an interrupted run of the same settings stopped, or begin where there "
    "is none.",
    "seed": "of everything that is random, from 0 on.",
    "limit": "so many shapes at most, drawn by the seed; of each class its share where labels are "
    "read. By default all.",
    "weights": f"trained weights: {TRAINED}; for a model of your own also .pt of tensors alone.",
    "init": f"weights to begin with: {TRAINED}. They bring the model; by default it is untrained.",
    "shards": "write a folder of Parquet files instead, so many (400) or so large (64MB): --out is "
    "a folder here or in a store (s3://…), and the paths may be URLs, too. Any number of processes "
    "with the same command share the work, and the same command goes on with what is there.",
    "shard": "a part of the shards alone, with 17/400 the 17th of 400, as a task of an array.",
    "dtype": "of the features in shards; float16 halves them.",
    "engine": '"ray" lets a Ray cluster describe the shards, "processes" this process.',
    "address": "of the Ray cluster; by default one is started on this machine.",
    "gpus": "of each worker of Ray, also a fraction: 0.25 lets four share a GPU.",
    "device": "where the model runs, e.g. cuda; by default where it is.",
    "layout": 'what the model takes, (B, N, 3) or (B, 3, N); "auto" tries the two.',
}

# A value that is a name or a number; neither is a part of a path.
_VALUE = r"'(?P<text>[^']*)'|(?P<number>-?\d+(\.\d+)?(e[+-]?\d+)?)"
_WITH_VALUE = re.compile(rf"(?<![\w./=-])(?P<name>[a-z]\w*)=({_VALUE})(?![\w/=-]|\.\w)")
# Of names alone only those that are no words, and stand where no path is.
_ALONE = re.compile(r"(?<![\w./=\"'`-])(?P<name>[a-z]+(_[a-z]+)+)(?![\w/=(\"'`-]|\.\w)")
# Arguments of the library that options of other names are handed to.
HANDED = {
    "split": ("split", "test"),
    "clusters": ("clusters", "num_clusters"),
    "n_clusters": ("clusters",),
    "num_clusters": ("num_clusters", "clusters"),
    "n_components": ("whiten",),
}


class Option(NamedTuple):
    """An option of the command that runs.

    Attributes:
        name: of its field.
        told: as it is written, with its dashes.
        value: which it has.
    """

    name: str
    told: str
    value: object


_OPTIONS: ContextVar[tuple[Option, ...]] = ContextVar("options", default=())


def speak_of(command: object) -> None:
    """Lets `in_options` know the options of a command that is about to run; None: of none.

    Args:
        command: a function with its arguments, or a method of a dataclass.
    """
    if isinstance(command, partial):
        _OPTIONS.set(given_options(command.keywords))
    else:
        _OPTIONS.set(tuple(_options_of(getattr(command, "__self__", None))))


def given_options(values: Mapping[str, object]) -> tuple[Option, ...]:
    """Returns options of these names and values, for `in_options`."""
    return tuple(Option(name, _dashed(name), value) for name, value in values.items())


def in_options(message: str, options: Sequence[Option] | None = None) -> str:
    """Returns what the library says with the options of the command in the place of arguments.

    Args:
        message: which says ``name='value'``, ``name=1`` or ``long_name``. What is no option of the
            command stays as it is.
        options: of the command; if None as `speak_of` was told.

    Example:
        >>> from functools import partial
        >>> speak_of(partial(print, split=None, test="test", num_points=9))
        >>> in_options("there are no splits; leave split='test' out; k=5 exceeds num_points=9")
        'there are no splits; leave --test test out; k=5 exceeds --num-points 9'
        >>> speak_of(None)
    """
    known = _OPTIONS.get() if options is None else options
    return _ALONE.sub(partial(_alone, known), _WITH_VALUE.sub(partial(_with_value, known), message))


def _with_value(known: Sequence[Option], found: re.Match[str]) -> str:
    names = HANDED.get(found["name"], (found["name"],))
    options = [option for option in known if option.name in names]
    said = found["number"] if found["text"] is None else found["text"]
    chosen = next((option for option in options if str(option.value) == said), None)
    if chosen is None:  # a default that the library has filled in
        chosen = next((option for option in options if option.name == found["name"]), None)
    if chosen is None:
        return found[0]
    return f"{chosen.told} {shlex.quote(said)}"


def _alone(known: Sequence[Option], found: re.Match[str]) -> str:
    return next((option.told for option in known if option.name == found["name"]), found[0])


def _options_of(settings: object, prefix: str = "") -> Iterator[Option]:
    """Yields the options of a dataclass, those of its parts last."""
    if not is_dataclass(settings):
        return
    parts = []
    for field in fields(settings):
        value, called = getattr(settings, field.name, None), _called(field)
        if is_dataclass(value):
            parts.append((f"{prefix}{called}." if called else prefix, value))
        elif not re.search("Positional|Suppress", str(field.type)):
            yield Option(field.name, _dashed(prefix + called), value)
    for begun, part in parts:
        yield from _options_of(part, begun)


def _called(field: Field[Any]) -> str:
    """Returns the name of an option: that of its field, unless an annotation says another."""
    marks = get_args(field.type)[1:] if get_origin(field.type) is Annotated else ()
    names = [mark.name for mark in marks if isinstance(getattr(mark, "name", None), str)]
    return names[0] if names else field.name


def _dashed(name: str) -> str:
    return f"--{name.replace('_', '-')}"
