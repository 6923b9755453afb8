"""What train and pretrain have in common: settings of a file, and what a person sees of a run."""

from collections.abc import Sequence
from pathlib import Path

from rich.progress import Progress, TaskID

from pcclust._names import counted
from pcclust.cli.console import UsageError, output, progress_bar
from pcclust.training import Callback, Method, Position, Step
from pcclust.training.allocator import keep_freed_memory, limit_kernel_caches
from pcclust.training.callback import Plan
from pcclust.training.run_folder import CONFIG

TRAINING = "training"


class TrainingDisplay(Callback):
    """A bar with loss, rate and time left, of all stages together, and a line for each epoch."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._plan: Plan | None = None
        self._shapes = 1
        self._epochs = 1
        self._before = 0
        self._total = 1

    def planned(self, plan: Plan) -> None:
        """Remembers where the next stage stands among all."""
        self._plan = plan

    def preparing(self, what: str, done: int, total: int) -> None:
        """Moves a bar of its own, which goes when it is full."""
        self._update(what, what, done, total)
        if done >= total and self._bar is not None:
            self._bar.remove_task(self._tasks.pop(what))

    def started(self, method: Method, position: Position) -> None:
        """Says what is trained, or that it is done, and draws the bar of the whole run."""
        self.stopped()
        if position.results is not None and self._plan is not None:
            output.print(f"{self._plan.stage}: done before, {counted(position.epoch, 'epoch')}")
            return
        for line in method.describe():
            output.print(line)
        done = position.epoch * method.steps_per_epoch + position.batch
        if done:
            output.print(f"going on in epoch {position.epoch + 1}, step {position.batch + 1}")
        self._shapes, self._epochs = method.config.batch_size, method.config.epochs
        shapes = self._shapes * method.steps_per_epoch * self._epochs
        self._before, self._total = 0, shapes
        if self._plan is not None:
            self._before, self._total = self._plan.before, max(self._plan.total, shapes)
        self._update(TRAINING, TRAINING, self._before + self._shapes * done, self._total)

    def stepped(self, step: Step) -> None:
        """Moves the bar."""
        stage = "" if self._plan is None else f"{self._plan.stage}  "
        what = f"{stage}epoch {step.epoch}/{self._epochs}  loss {step.loss:.3f}"
        self._update(TRAINING, what, self._before + self._shapes * step.number, self._total)

    def measured(self, epoch: int | None, step: int, metrics: dict[str, float]) -> None:
        """Prints a line."""
        what = "at the end" if epoch is None else f"epoch {epoch}"
        values = [f"{name.replace('_', ' ')} {_value(name, metrics[name])}" for name in metrics]
        output.print(f"{what}: {', '.join(values)}")

    def stopped(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar, self._tasks = None, {}

    def _update(self, task: str, what: str, done: int, total: int) -> None:
        if self._bar is None:
            self._bar = progress_bar("shapes")
            self._bar.start()
        if task not in self._tasks:
            self._tasks[task] = self._bar.add_task(what, total=total, completed=done)
        self._bar.update(self._tasks[task], completed=done, description=what)


def displays() -> list[Callback]:
    """Returns what shows a training, and makes the process ready for it."""
    keep_freed_memory()
    limit_kernel_caches()
    return [TrainingDisplay()]


def check_minutes(minutes: float | None) -> None:
    """Raises UsageError where there is no time to train."""
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--minutes {minutes} must be positive")


def _value(name: str, value: float) -> str:
    if name.startswith("empty"):
        return f"{value:.0f}"
    return f"{100 * value:.1f} %" if name.endswith("accuracy") else f"{value:.3f}"


def config_file(arguments: Sequence[str]) -> Path | None:
    """Returns the config file that a command's arguments name, if any.

    That is the file after ``--config``; or with ``--resume`` that of the run in the folder after
    ``--out``, so that going on with a run needs no other option.
    """
    given, out = option(arguments, "--config"), option(arguments, "--out")
    if "--resume" in arguments and out is not None and (Path(out) / CONFIG).is_file():
        return Path(out) / CONFIG
    return None if given is None else Path(given)


def option(arguments: Sequence[str], name: str) -> str | None:
    """Returns the value of an option, given as ``--name value`` or ``--name=value``."""
    for at, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if key == name and equals:
            return value
        if argument == name and at + 1 < len(arguments):
            return arguments[at + 1]
    return None
