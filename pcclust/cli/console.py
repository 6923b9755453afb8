"""What the commands print with: results on one stream, progress and complaints on the other."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TextIO

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

from pcclust.data import DataWarning

# Without markup: names of files and extras ("pcclust[las]") are printed as they are.
output = Console(highlight=False, soft_wrap=True, markup=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)


class ExitCode(IntEnum):
    """What ``pcclust`` exits with."""

    DONE = 0
    PARTLY_FAILED = 1
    WRONG_USE = 2
    INTERRUPTED = 130  # as shells expect of a program that Ctrl-C ends
    PIPE_CLOSED = 141  # and of one whose output is closed


class RateColumn(ProgressColumn):
    """Units per second of a task."""

    def __init__(self, unit: str) -> None:
        """Takes the name of what is counted, in the plural."""
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        """Returns the rate of the task, or nothing before there is one."""
        return Text("" if task.speed is None else f"{task.speed:,.1f} {self.unit}/s", style="cyan")


def progress_bar(unit: str) -> Progress:
    """Returns a bar with count, rate and time left, drawn only where a person looks on.

    Args:
        unit: the name of what is counted, in the plural.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeRemainingColumn(),
        console=errors,
        disable=not errors.is_terminal,
    )


@contextmanager
def data_warnings_printed() -> Iterator[None]:
    """Prints what is said of the data as a line of its own, without a place in our code."""
    usual = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, DataWarning):
            errors.print(f"Note: {message}")
        else:
            usual(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("default", DataWarning)
        warnings.showwarning = show
        yield
