"""``pcclust train``: a classifier of shapes, on any backbone."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from pcclust.cli._config_file import defaults_from_file
from pcclust.cli._training_display import TrainingDisplay
from pcclust.cli.console import ExitCode, errors, output
from pcclust.methods.classification import Classification, ClassificationConfig
from pcclust.training import Callback, Outcome, RunFolder, fit
from pcclust.training.allocator import keep_freed_memory, limit_kernel_caches
from pcclust.training.logger import TENSORBOARD, LoggerName, logging_callbacks


def train(
    run: Annotated[ClassificationConfig, arg(name="")],
    *,
    config: Path | None = None,
    out: Path | None = None,
    resume: bool = False,
    minutes: float | None = None,
    logger: tuple[LoggerName, ...] = (),
    tensorboard: bool = False,
) -> int:
    """Trains a classifier of shapes, and tests it once at the end.

    The run's folder gets its settings (config.yaml), a log (metrics.jsonl), the model after each
    epoch (weights.safetensors, weights.json) and what is needed to go on (checkpoint.pt). A run
    may be interrupted or killed at any moment; with --resume it goes on and ends, on a CPU, with
    the very bits of an uninterrupted one. Ward hierarchies of training shapes are computed once and
    kept in $PCCLUST_CACHE, by default ~/.cache/pcclust. Several processes:
    torchrun --nproc-per-node 2 -m pcclust train … .

    Args:
        run: its settings.
        config: a YAML file of these settings, for instance another run's config.yaml; what is
            given on the command line comes first.
        out: the run's folder; by default runs/DATASET-MODEL-ROTATION.
        resume: go on with the run in that folder; `pcclust train --resume --out FOLDER` suffices.
        minutes: stop and save after so long; --resume goes on.
        logger: log curves to these, too: tensorboard (into the run's folder), wandb, mlflow.
        tensorboard: the same as --logger tensorboard.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes {minutes} must be positive")
    folder = RunFolder(out or _default_folder(run))
    callbacks: list[Callback] = [TrainingDisplay()]
    callbacks += logging_callbacks((*logger, *TENSORBOARD * tensorboard), folder.path)
    keep_freed_memory()
    limit_kernel_caches()
    outcome = fit(Classification(run), folder, resume=resume, minutes=minutes, callbacks=callbacks)
    return _report(folder, outcome, run.epochs)


def with_defaults(arguments: Sequence[str]) -> Callable[..., int]:
    """Returns the command with the defaults that its arguments ask for."""
    return defaults_from_file(train, ClassificationConfig, arguments)


def _default_folder(run: ClassificationConfig) -> Path:
    return Path("runs") / f"{Path(run.dataset).stem}-{run.model}-{run.rotation}"


def _report(folder: RunFolder, outcome: Outcome, epochs: int) -> int:
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes say nothing
        return ExitCode.DONE
    if outcome.complete:
        output.print(f"{folder.path}: complete; use it by pcclust.load({str(folder.path)!r})")
        return ExitCode.DONE
    errors.print(
        f"{'Interrupted' if outcome.interrupted else 'The time is up'} after {outcome.epoch} of "
        f"{epochs} epochs; go on with: pcclust train --resume --out {folder.path}"
    )
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE
