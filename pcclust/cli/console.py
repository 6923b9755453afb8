"""What the commands print with: results on one stream, progress and complaints on the other."""

from enum import IntEnum

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

# Without markup: names of files and extras ("pcclust[open3d]") are printed as they are.
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
