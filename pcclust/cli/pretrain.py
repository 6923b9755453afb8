"""``pcclust pretrain``: features of shapes, learned without labels."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Literal, TextIO, get_args

import tyro
from tyro.conf import Positional, arg

from pcclust.cli._config_file import option
from pcclust.cli._training_display import TrainingDisplay
from pcclust.cli.console import ExitCode, errors, output
from pcclust.methods.contrastnet_pipeline import ContrastNetPipeline, PipelineConfig
from pcclust.methods.contrastnet_presets import PresetName, contrastnet_preset
from pcclust.training import Method, Position

DEFAULT_PRESET: PresetName = "rotation-invariant"


def pretrain(
    method: Annotated[Literal["contrastnet"], Positional, arg(metavar="contrastnet")],
    run: Annotated[PipelineConfig, arg(name="")],
    *,
    preset: PresetName = DEFAULT_PRESET,
    out: Path | None = None,
    minutes: float | None = None,
) -> int:
    """Trains an encoder of shapes without labels.

    contrastnet: parts of shapes are contrasted, whole shapes are clustered by the features so
    learned, and a network is trained from scratch on the clusters. The folder gets a run of each
    stage (contrastnet, round1/network, …), the clusters (round1/pseudo_labels.npz, …) and the final
    encoder (weights.safetensors, weights.json) for pcclust embed, cluster and evaluate. The
    pipeline may be interrupted or killed at any moment: the same command goes on, and skips what
    is done. Options without a prefix are of the first stage, or of all.

    Args:
        method: the method.
        run: its settings.
        preset: settings to begin with: "rotation-invariant", which needs no upright pose, or
            "zhang2019", as in the official code. What is given beside it comes first.
        out: the folder; by default runs/DATASET-contrastnet-PRESET.
        minutes: stop training and save after so long; the same command goes on.
    """
    if minutes is not None and not minutes > 0:
        raise ValueError(f"--minutes {minutes} must be positive")
    name = Path(run.contrastnet.dataset).stem
    folder = out or Path("runs") / f"{name}-{method}-{preset}"
    with _loud_warnings():
        pipeline = ContrastNetPipeline(run, folder, watchers=[PipelineDisplay()], tell=output.print)
        outcome = pipeline.run(minutes=minutes)
    if outcome.complete:
        return ExitCode.DONE
    why = "Interrupted" if outcome.interrupted else "The time is up"
    errors.print(f"{why}; the same command goes on with what is in {folder}")
    return ExitCode.INTERRUPTED if outcome.interrupted else ExitCode.DONE


def with_defaults(arguments: Sequence[str]) -> Callable[..., int]:
    """Returns the command with the defaults of the preset that its arguments name."""
    given = option(arguments, "--preset")
    if given is None or given not in get_args(PresetName):  # the parser says what is wrong
        given = DEFAULT_PRESET
    return partial(pretrain, run=contrastnet_preset(given, tyro.MISSING))  # type: ignore[arg-type]


class PipelineDisplay(TrainingDisplay):
    """Shows each stage that trains, and says of one that is done that it is."""

    def started(self, method: Method, position: Position) -> None:
        """Says what is trained, or that there is nothing to do."""
        if position.results is None:
            super().started(method, position)
            return
        self.stopped()
        output.print(f"{method.config.method}: done before, {position.epoch} epochs")


@contextmanager
def _loud_warnings() -> Iterator[None]:
    """Prints warnings at once, in bold."""

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        errors.print(f"WARNING: {message}", style="bold red")

    with warnings.catch_warnings():
        warnings.simplefilter("default")
        warnings.showwarning = show
        yield
