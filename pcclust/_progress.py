"""Bars of long work, in terminals and in notebooks."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class RateColumn(ProgressColumn):
    """Units per second of a task."""

    def __init__(self, unit: str) -> None:
        """Takes the name of what is counted, in the plural."""
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Returns the rate of the task, or nothing before there is one."""
        return Text("" if task.speed is None else f"{task.speed:,.1f} {self.unit}/s", style="cyan")


def bar_on(console: Console, unit: str) -> Progress:
    """Returns a bar with count, rate and time left, drawn only where a person looks on.

    That is in a terminal, and in a notebook that has ipywidgets, by which bars move there.

    Args:
        console: where it is drawn.
        unit: the name of what is counted, in the plural.
    """
    moves = console.is_jupyter and find_spec("ipywidgets") is not None
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeRemainingColumn(),
        console=console,
        disable=not (console.is_terminal or moves),
    )


@contextmanager
def shown_progress(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """Draws a bar on the standard error stream; gives what is told of done and total.

    Args:
        what: is done, in words before the bar.
        unit: the name of what is counted, in the plural.
    """
    with bar_on(Console(stderr=True), unit) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
