"""``pcclust pretrain``: features and clusters of shapes, learned without labels."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from tyro.conf import Positional, arg

from pcclust.cli._config_file import config_file, option
from pcclust.cli._training_display import TrainingDisplay
from pcclust.cli.console import ExitCode, errors, output, warnings_printed
from pcclust.methods import METHODS, find_recipe
from pcclust.methods.pipeline import Pipeline
from pcclust.methods.stages import Recipe
from pcclust.training import Callback, Outcome, read_config
from pcclust.training.allocator import keep_freed_memory, limit_kernel_caches
from pcclust.training.config import built_config
from pcclust.training.logger import TENSORBOARD, LoggerName, logging_callbacks

if TYPE_CHECKING:
    Name = str
else:  # choices that are known at run time
    Name = Annotated[Literal[tuple(METHODS)], Positional, arg(metavar="METHOD")]


def pretrain(method: Name) -> int:
    """Trains an encoder, and clusters, of shapes without labels.

    The options are those of the method: see pcclust pretrain METHOD --help.

    Args:
        method: what is trained.
    """
    raise ValueError(f"{method} needs DATA: see pcclust pretrain {method} --help")


def with_defaults(arguments: Sequence[str]) -> Callable[..., int]:
    """Returns the command of the method that its arguments name, with the defaults they ask for."""
    name = arguments[0] if arguments else ""
    if name not in METHODS:  # the parser says what there is
        return _listed(pretrain)
    recipe = find_recipe(name)
    preset = option(arguments, "--preset")
    if preset not in recipe.presets:  # the parser says what is wrong
        preset = None
    chosen = next(iter(recipe.presets)) if preset is None else preset
    given = config_file(arguments)
    settings = {} if given is None else read_config(given, recipe.config)
    defaults = built_config(recipe.config, recipe.presets[chosen], settings, missing=tyro.MISSING)
    return _command(recipe, defaults, chosen)


def _listed(command: Callable[..., int]) -> Callable[..., int]:
    """Returns the command whose help has a line for each method."""

    def listed(method: Name) -> int:
        return command(method)

    lines = [f"{name}: {find_recipe(name).about.partition(chr(10))[0]}" for name in METHODS]
    summary, _, rest = str(command.__doc__).partition("\n\n")
    listed.__doc__ = "\n\n".join([summary, *(f"    {line}" for line in lines), rest])
    return listed


def _command(recipe: Recipe, defaults: Any, chosen: str) -> Callable[..., int]:  # noqa: ANN401
    """Returns the command of a method, with its settings as options."""

    def command(
        method: Name,
        run: Annotated[recipe.config, arg(name="")] = defaults,  # type: ignore[name-defined]
        *,
        preset: Literal[tuple(recipe.presets)] = chosen,  # type: ignore[valid-type]
        config: Path | None = None,
        out: Path | None = None,
        resume: bool = False,
        minutes: float | None = None,
        logger: tuple[LoggerName, ...] = (),
        tensorboard: bool = False,
    ) -> int:
        loggers = (*logger, *TENSORBOARD * tensorboard)
        return _run(
            recipe, run, out or _default_folder(recipe, run, preset), resume, minutes, loggers
        )

    command.__doc__ = f"{recipe.about.strip()}\n\n{_ARGUMENTS}"
    return command


_ARGUMENTS = """\
    The folder gets the settings (config.yaml), a run or a file of each stage, and the result
    (weights.safetensors, weights.json) for pcclust embed, cluster and evaluate. It may be
    interrupted or killed at any moment; with --resume it goes on, skips the stages that are done,
    and ends, on a CPU, with the very bits of an uninterrupted run. Several processes:
    torchrun --nproc-per-node 2 -m pcclust pretrain … .

    Args:
        method: the method.
        run: its settings.
        preset: settings to begin with; what is given beside it comes first.
        config: a YAML file of these settings, for instance another run's config.yaml; what is
            given on the command line comes first.
        out: the run's folder; by default runs/DATA-METHOD-PRESET.
        resume: go on with the run in that folder; pcclust pretrain METHOD --resume --out FOLDER
            suffices.
        minutes: stop training and save after so long; --resume goes on.
        logger: log curves of each stage to these, too: tensorboard (into the run's folder), wandb,
            mlflow.
        tensorboard: the same as --logger tensorboard.
"""


def _run(
    recipe: Recipe,
    config: Any,  # noqa: ANN401 - each method has its own
    out: Path,
    resume: bool,
    minutes: float | None,
    loggers: tuple[LoggerName, ...],
) -> int:
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes {minutes} must be positive")
    callbacks: list[Callback] = [TrainingDisplay(), *logging_callbacks(loggers, out)]
    keep_freed_memory()
    limit_kernel_caches()
    with warnings_printed(lambda message: errors.print(f"WARNING: {message}", style="bold red")):
        pipeline = Pipeline(
            recipe, config, out, resume=resume, callbacks=callbacks, tell=output.print
        )
        return _report(recipe, out, pipeline.run(minutes=minutes))


def _default_folder(recipe: Recipe, config: Any, preset: str) -> Path:  # noqa: ANN401
    return Path("runs") / f"{Path(recipe.data(config).dataset).stem}-{recipe.name}-{preset}"


def _report(recipe: Recipe, out: Path, outcome: Outcome) -> int:
    if outcome.complete or os.environ.get("RANK", "0") != "0":
        return ExitCode.DONE
    why = "Interrupted" if outcome.interrupted else "The time is up"
    errors.print(f"{why}; go on with: pcclust pretrain {recipe.name} --resume --out {out}")
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE
