"""What the commands print with: results on one stream, progress and complaints on the other."""

import os
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress
from rich.segment import Segment
from rich.table import Table as Drawn

from pcclust._names import visible
from pcclust._progress import bar_on
from pcclust.data import DataWarning, ReadFailure
from pcclust.report.table import Table


class SafeConsole(Console):
    """Shows control characters and direction marks of whatever is printed, and never sends them."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yields what is drawn; rich's own sequences are no text, and reach the terminal."""
        for segment in super().render(renderable, options):
            text = segment.text if segment.control else visible(segment.text)
            yield Segment(text, segment.style, segment.control)


# Without markup: names of files and extras ("pcclust[las]") are printed as they are.
output = SafeConsole(highlight=False, soft_wrap=True, markup=False)
errors = SafeConsole(stderr=True, highlight=False, soft_wrap=True, markup=False)


class ExitCode(IntEnum):
    """What ``pcclust`` exits with."""

    DONE = 0
    PARTLY_FAILED = 1
    WRONG_USE = 2
    INTERRUPTED = 130  # as shells expect of a program that Ctrl-C ends
    PIPE_CLOSED = 141  # and of one whose output is closed


def progress_bar(unit: str) -> Progress:
    """Returns a bar with count, rate and time left, drawn only where a person looks on.

    Args:
        unit: the name of what is counted, in the plural.
    """
    return bar_on(errors, unit)


@contextmanager
def data_warnings_printed() -> Iterator[None]:
    """Prints what is said of the data as a line of its own, without a place in our code."""
    with warnings_printed(lambda message: errors.print(f"Note: {message}"), DataWarning):
        yield


@contextmanager
def warnings_printed(
    say: Callable[[Warning | str], None], kind: type[Warning] = Warning
) -> Iterator[None]:
    """Prints warnings in our own way, and those of other kinds as Python does.

    Args:
        say: prints a warning.
        kind: of the warnings that it prints.
    """

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, kind):
            say(message)
        else:
            text = warnings.formatwarning(message, category, filename, lineno, line)
            errors.print(text, end="")

    with warnings.catch_warnings():
        warnings.simplefilter("default", kind)
        warnings.showwarning = show
        yield


def make_folder(folder: Path, option: str = "--out") -> None:
    """Makes a folder, and refuses one that cannot be written before much time is spent.

    Args:
        folder: the folder; those above it are made, too.
        option: how the user named it.

    Raises:
        NotADirectoryError: it is a file.
        PermissionError: it may not be written.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{option} {folder}: is a file; name a folder")
    folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{option} {folder}: you may not write there; name another folder")


def drawn(table: Table) -> Drawn:
    """Returns a table for the terminal, as narrow as can be: 80 columns hold it."""
    result = Drawn(
        box=SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=(0, 1, 0, 0),
        title=table.caption,
        title_justify="left",
        title_style="bold",
    )
    for heading, number in zip(table.header, table.numeric, strict=True):
        result.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in table.rows:
        result.add_row(*row)
    return result


def report_failures(failures: Collection[ReadFailure]) -> ExitCode:
    """Prints what could not be used and why; returns what the command exits with."""
    if not failures:
        return ExitCode.DONE
    errors.print(f"{len(failures):,} could not be used:", style="bold red")
    for failure in failures:
        errors.print(f"  {failure.reason}")
    return ExitCode.PARTLY_FAILED
