"""How a file that cannot be used is reported: by its name and what is wrong with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


class ContentError(ValueError):
    """What is wrong with the content of a file, said without its name."""


class LockedError(OSError):
    """A file that another program has open for writing; the message names it."""


@contextmanager
def naming_file(path: Path, what: str) -> Iterator[None]:
    """Turns whatever a parser raises on a broken file into a ValueError that names the file.

    A missing optional library is no fault of the file: it stays an ImportError, which names both.
    Nor is it one to be locked.

    Args:
        path: the file, or part of a file, at fault.
        what: the format it should have, for the message.
    """
    try:
        yield
    except ContentError as error:
        raise ValueError(f"{path}: {error}") from error
    except LockedError:
        raise
    except ImportError as error:
        raise ImportError(f"{path}: {error}", name=error.name) from error
    # Parsers raise anything, from IndexError to UnicodeDecodeError, where a file is broken.
    except Exception as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": \n")
        raise ValueError(f"{path}: not a readable {what} file ({reason})") from error


def check_finite(points: NDArray[np.floating], fault: str, name: str = "points") -> None:
    """Raises ContentError with the first row that has a NaN or inf.

    Args:
        points: ``(N, D)``.
        fault: what to say of the row, before its values.
        name: what to call the rows.
    """
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ContentError(f"{name}[{row}] {fault}: {points[row].tolist()}")
