"""What the commands that read many shapes have in common."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from pcclust.cli.console import ExitCode, errors
from pcclust.data import ReadFailure, name_clouds

Shape = TypeVar("Shape")


def names_in(file: Path) -> list[str]:
    """Returns the names of the shapes in a file; of one that cannot be read, its path."""
    try:
        return name_clouds(file)
    except (ValueError, OSError):  # reported with its reason when its turn comes to be read
        return [file.as_posix()]


def refuse_strangers(partial: Path, done: Collection[str], names: Collection[str]) -> None:
    """Raises ValueError where an interrupted run has stored shapes that are not asked for now.

    Args:
        partial: the folder that it has left.
        done: the shapes in it.
        names: those of the inputs.
    """
    strangers = sorted(set(done) - set(names))
    if strangers:
        raise ValueError(
            f"{partial} holds {strangers[0]} and {len(strangers) - 1} other shapes that are "
            "not among the inputs now: name the same inputs, or remove it to begin anew"
        )


def in_batches(
    results: Iterable[Shape | ReadFailure], full: Callable[[list[Shape]], bool]
) -> Iterator[tuple[list[Shape], list[ReadFailure]]]:
    """Groups shapes until a batch is full, with the failures met on the way."""
    shapes: list[Shape] = []
    failures: list[ReadFailure] = []
    for result in results:
        if isinstance(result, ReadFailure):
            failures.append(result)
        else:
            shapes.append(result)
        if full(shapes):
            yield shapes, failures
            shapes, failures = [], []
    if shapes or failures:
        yield shapes, failures


def report_failures(failures: Collection[ReadFailure]) -> ExitCode:
    """Prints what could not be used and why; returns what the command exits with."""
    if not failures:
        return ExitCode.DONE
    errors.print(f"{len(failures):,} could not be used:", style="bold red")
    for failure in failures:
        errors.print(f"  {failure.reason}")
    return ExitCode.PARTLY_FAILED
