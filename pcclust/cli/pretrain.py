"""``pcclust pretrain``: features and clusters of shapes, learned without labels."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, make_dataclass
from inspect import cleandoc
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import tyro
from tyro.conf import arg

from pcclust.cli._training import check_minutes, config_file, displays, option
from pcclust.cli.console import ExitCode, errors, output, warnings_printed
from pcclust.methods import METHODS, find_recipe
from pcclust.methods.pipeline import Pipeline
from pcclust.methods.stages import Recipe
from pcclust.training import Outcome, read_config
from pcclust.training.config import built_config
from pcclust.training.logger import TENSORBOARD, LoggerName, logging_callbacks

KIND = "method"
MORE = """\
Example: pcclust pretrain deepcluster modelnet10 --clusters 10
pcclust pretrain METHOD --help has the options of a method."""
# Each with an example.
_OF_ENCODERS = ("pcl", "simclr")  # which make no clusters
ACTIONS = {
    name: f"pcclust pretrain {name} modelnet10" + " --clusters 10" * (name not in _OF_ENCODERS)
    for name in METHODS
}


@dataclass(frozen=True, kw_only=True)
class Pretrain:
    """The folder gets the settings (config.yaml), a run or a file of each stage, and the result
    (weights.safetensors, weights.json) for pcclust embed, cluster and evaluate. It may be
    interrupted or killed at any moment; with --resume it goes on, skips the stages that are done,
    and ends, on a CPU, with the very bits of an uninterrupted run. Several processes:
    torchrun --nproc-per-node 2 -m pcclust pretrain … .

    Attributes:
        config: a YAML file of these settings, for instance another run's config.yaml; what is
            given on the command line comes first.
        out: the run's folder; by default runs/DATA-METHOD-PRESET. With it --resume needs no other
            option.
        minutes: stop training and save after so long; --resume goes on.
        logger: log curves of each stage to these, too: tensorboard (into the run's folder), wandb,
            mlflow.
        tensorboard: the same as --logger tensorboard.
        preset: settings to begin with; what is given beside it comes first.
    """  # noqa: D205 - the method's own line goes before it

    recipe: ClassVar[Recipe]
    training: Any
    preset: Any
    config: Path | None = None
    out: Path | None = None
    resume: bool = False
    minutes: float | None = None
    logger: tuple[LoggerName, ...] = ()
    tensorboard: bool = False

    def run(self) -> int:
        """Trains all stages, and says where the model is."""
        check_minutes(self.minutes)
        out = self.out or _default_folder(self.recipe, self.training, self.preset)
        loggers = (*self.logger, *TENSORBOARD * self.tensorboard)
        callbacks = [*displays(), *logging_callbacks(loggers, out)]
        with warnings_printed(_say_loudly):
            pipeline = Pipeline(
                self.recipe,
                self.training,
                out,
                resume=self.resume,
                callbacks=callbacks,
                tell=output.print,
            )
            return _report(self.recipe, out, pipeline.run(minutes=self.minutes))


def purposes() -> dict[str, str]:
    """Returns what each method does."""
    return {name: find_recipe(name).about.strip().partition("\n")[0] for name in METHODS}


def action(name: str, arguments: Sequence[str]) -> tuple[type[Any], Any]:
    """Returns the command of a method, with the defaults that its arguments ask for."""
    recipe = find_recipe(name)
    preset = option(arguments, "--preset")
    if preset not in recipe.presets:  # the parser says what is wrong
        preset = None
    chosen = next(iter(recipe.presets)) if preset is None else preset
    given = config_file(arguments)
    settings = {} if given is None else read_config(given, recipe.config)
    defaults = built_config(recipe.config, recipe.presets[chosen], settings, missing=tyro.MISSING)
    kind = _of_method(recipe)
    return kind, kind(training=defaults, preset=chosen)


def _of_method(recipe: Recipe) -> type[Any]:
    """Returns the command of a method, with its settings as options."""
    training: Any = Annotated[recipe.config, arg(name="")]
    preset: Any = Literal[tuple(recipe.presets)]
    fields: list[Any] = [("training", training, field()), ("preset", preset, field())]
    made = make_dataclass("Method", fields, bases=(Pretrain,), frozen=True, kw_only=True)
    made.recipe = recipe  # type: ignore[attr-defined]
    made.__doc__ = f"{cleandoc(recipe.about)}\n\n{cleandoc(Pretrain.__doc__ or '')}"
    return made


def _default_folder(recipe: Recipe, config: Any, preset: str) -> Path:  # noqa: ANN401
    return Path("runs") / f"{Path(recipe.data(config).dataset).stem}-{recipe.name}-{preset}"


def _report(recipe: Recipe, out: Path, outcome: Outcome) -> int:
    if outcome.complete or os.environ.get("RANK", "0") != "0":
        return ExitCode.DONE
    why = "Interrupted" if outcome.interrupted else "The time is up"
    errors.print(f"{why}; go on with: pcclust pretrain {recipe.name} --resume --out {out}")
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE


def _say_loudly(message: Warning | str) -> None:
    errors.print(f"WARNING: {message}", style="bold red")
