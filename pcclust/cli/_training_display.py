"""What a person sees of a run that trains."""

from rich.progress import Progress, TaskID

from pcclust.cli.console import output, progress_bar
from pcclust.training import Method, Position, Step, Watcher


class TrainingDisplay(Watcher):
    """A bar with loss, rate and time left, and a line for each epoch."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._what = ""
        self._shapes = 1
        self._epochs = 1

    def preparing(self, what: str, done: int, total: int) -> None:
        """Moves a bar of its own."""
        if what != self._what:
            self._open(what, total)
        self._update(done, what)

    def started(self, method: Method, position: Position) -> None:
        """Says what is trained, and draws the bar of the whole run."""
        self.stopped()
        for line in method.describe():
            output.print(line)
        done = position.epoch * method.steps_per_epoch + position.batch
        if done:
            output.print(f"going on in epoch {position.epoch + 1}, step {position.batch + 1}")
        self._shapes, self._epochs = method.config.batch_size, method.config.epochs
        shapes = self._shapes * method.steps_per_epoch
        self._open("training", shapes * self._epochs, self._shapes * done)

    def stepped(self, step: Step) -> None:
        """Moves the bar."""
        what = f"epoch {step.epoch}/{self._epochs}  loss {step.loss:.3f}"
        self._update(self._shapes * step.number, what)

    def measured(self, epoch: int | None, step: int, metrics: dict[str, float]) -> None:
        """Prints a line."""
        what = "at the end" if epoch is None else f"epoch {epoch}"
        values = [f"{name.replace('_', ' ')} {_value(name, metrics[name])}" for name in metrics]
        output.print(f"{what}: {', '.join(values)}")

    def stopped(self) -> None:
        """Takes the bar away."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None

    def _open(self, what: str, total: int, done: int = 0) -> None:
        self.stopped()
        self._what = what
        self._bar = progress_bar("shapes")
        self._task = self._bar.add_task(what, total=total, completed=done)
        self._bar.start()

    def _update(self, done: int, what: str) -> None:
        assert self._bar is not None
        self._bar.update(self._task, completed=done, description=what)


def _value(name: str, value: float) -> str:
    return f"{100 * value:.1f} %" if name.endswith("accuracy") else f"{value:.3f}"
