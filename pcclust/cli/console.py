"""What the commands print with: results on one stream, progress and complaints on the other."""

import io
import os
import re
import shutil
import sys
import textwrap
import traceback
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path
from types import TracebackType
from typing import TextIO

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import Progress
from rich.segment import Segment
from rich.table import Table as Drawn

from pcclust._names import visible
from pcclust._progress import bar_on
from pcclust.cli._options import in_options
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
    FAILED = 1
    WRONG_USE = 2
    INTERRUPTED = 130  # as shells expect of a program that Ctrl-C ends
    PIPE_CLOSED = 141  # and of one whose output is closed


class UsageError(ValueError):
    """Options that cannot be, whatever the files hold: exit code 2."""


# Sequences that colour, embolden and undo that.
_STYLE = re.compile(r"(\x1b\[[0-9;]*m)")


class _EscapedStream(io.TextIOBase):
    """Writes text to a stream with control characters and direction marks shown, not sent.

    Lines that are wider than the terminal are folded between words.

    Args:
        stream: a standard stream.
        styled: whether sequences of colours are let through; the writer asks `isatty` for it.
    """

    def __init__(self, stream: TextIO, styled: bool) -> None:
        self.stream = stream
        self.styled = styled and stream.isatty() and not os.environ.get("NO_COLOR")

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """That of the stream."""
        return self.stream.encoding

    def isatty(self) -> bool:
        """Returns whether colours are wanted."""
        return self.styled

    def write(self, text: str) -> int:
        """Writes text, escaped."""
        parts = _STYLE.split(text) if self.styled else [text]
        shown = "".join(p if at % 2 else visible(p) for at, p in enumerate(parts))
        self.stream.write("\n".join(map(_folded, shown.split("\n"))))
        return len(text)

    def flush(self) -> None:
        """Flushes the stream."""
        self.stream.flush()


def _folded(line: str) -> str:
    """Returns a line in as many as the terminal needs, all of a parser's boxes as they are."""
    width = shutil.get_terminal_size().columns
    if len(line) <= width or "│" in line:
        return line
    return textwrap.fill(line, width, break_on_hyphens=False, break_long_words=False)


@contextmanager
def escaped_streams(arguments: Sequence[str], *, trusted: bool) -> Iterator[None]:
    """Escapes what others print within: a parser repeats what it was given.

    Args:
        arguments: which may be repeated; colours are left out where some hold a control character.
        trusted: whether nothing else is repeated that may.
    """
    styled = trusted and all(visible(argument) == argument for argument in arguments)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (_EscapedStream(stream, styled) for stream in before)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before


def print_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Prints where an error came from; the same as `sys.excepthook`, escaped."""
    errors.print("".join(traceback.format_exception(kind, error, trace)), end="")


def progress_bar(unit: str) -> Progress:
    """Returns a bar with count, rate and time left, drawn only where a person looks on.

    Args:
        unit: the name of what is counted, in the plural.
    """
    return bar_on(errors, unit)


@contextmanager
def data_warnings_printed() -> Iterator[None]:
    """Prints what is said of the data as a line of its own, without a place in our code."""
    with warnings_printed(lambda message: note(str(message)), DataWarning):
        yield


def note(message: str) -> None:
    """Prints what the library says beside the results."""
    errors.print(f"Note: {in_options(message)}")


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


def already_there(out: Path) -> ExitCode:
    """Says that an output that is to be resumed is complete."""
    output.print(f"{out} is there already, with no interrupted run of it: nothing to resume")
    return ExitCode.DONE


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
        errors.print(f"  {in_options(failure.reason)}")
    return ExitCode.FAILED
