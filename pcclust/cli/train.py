"""``pcclust train``: a classifier of shapes, on any backbone."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from tyro.conf import arg

from pcclust._names import counted
from pcclust.cli._training import check_minutes, config_file, displays
from pcclust.cli.console import ExitCode, errors, output
from pcclust.methods.classification import Classification, ClassificationConfig
from pcclust.training import Outcome, RunFolder, fit, read_config
from pcclust.training.logger import TENSORBOARD, LoggerName, logging_callbacks


@dataclass(frozen=True, kw_only=True)
class Train:
    """Trains a classifier of shapes, and tests it once at the end.

    The run's folder gets its settings (config.yaml), a log (metrics.jsonl), the model after each
    epoch (weights.safetensors, weights.json) and what is needed to go on (checkpoint.pt). A run
    may be interrupted or killed at any moment; with --resume it goes on and ends, on a CPU, with
    the very bits of an uninterrupted one. Ward hierarchies of training shapes are computed once and
    kept in $PCCLUST_CACHE, by default ~/.cache/pcclust. Several processes:
    torchrun --nproc-per-node 2 -m pcclust train … .

    Attributes:
        training: its settings.
        config: a YAML file of these settings, for instance another run's config.yaml; what is
            given on the command line comes first.
        out: the run's folder; by default runs/DATASET-MODEL-ROTATION, with "finetuned" for a model
            that --init brings. With it --resume needs no other option.
        minutes: stop and save after so long; --resume goes on.
        logger: log curves to these, too: tensorboard (into the run's folder), wandb, mlflow.
        tensorboard: the same as --logger tensorboard.
    """

    training: Annotated[ClassificationConfig, arg(name="")]
    config: Path | None = None
    out: Path | None = None
    resume: bool = False
    minutes: float | None = None
    logger: tuple[LoggerName, ...] = ()
    tensorboard: bool = False

    def run(self) -> int:
        """Trains, and says where the model is."""
        check_minutes(self.minutes)
        folder = RunFolder(self.out or _default_folder(self.training))
        loggers = (*self.logger, *TENSORBOARD * self.tensorboard)
        callbacks = [*displays(), *logging_callbacks(loggers, folder.path)]
        outcome = fit(
            Classification(self.training),
            folder,
            resume=self.resume,
            minutes=self.minutes,
            callbacks=callbacks,
        )
        return _report(folder, outcome, self.training.epochs)


def default(arguments: Sequence[str]) -> Train | None:
    """Returns the command with the settings of the config file that its arguments name, if any."""
    path = config_file(arguments)
    if path is None:
        return None
    # What the file leaves out and has no default must be on the command line.
    values = {"dataset": tyro.MISSING} | read_config(path, ClassificationConfig)
    return Train(training=ClassificationConfig(**values))


def _default_folder(run: ClassificationConfig) -> Path:
    model = run.model if run.init is None else "finetuned"
    return Path("runs") / f"{Path(run.dataset).stem}-{model}-{run.rotation}"


def _report(folder: RunFolder, outcome: Outcome, epochs: int) -> int:
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes say nothing
        return ExitCode.DONE
    if outcome.complete:
        output.print(f"{folder.path}: complete; use it by pcclust.load({str(folder.path)!r})")
        return ExitCode.DONE
    errors.print(
        f"{'Interrupted' if outcome.interrupted else 'The time is up'} after {outcome.epoch} of "
        f"{counted(epochs, 'epoch')}; go on with: pcclust train --resume --out {folder.path}"
    )
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE
