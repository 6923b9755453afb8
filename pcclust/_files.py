"""Files that are there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Opens a file that gets its name only when all of it is written, and replaces what was there.

    Whatever interrupts the writing (an error, a full disk, a killed process, a power cut), under
    ``path`` is what was there before. A killed process leaves ``.NAME.PID.tmp`` in the folder.

    Args:
        path: the file; its folder exists.

    Raises:
        OSError: it cannot be written, for instance because the disk is full; says that the file
            is as it was.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pcclust._files import whole_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.txt") as file:
        ...         _ = file.write(b"all of it")
        ...     (Path(folder) / "a.txt").read_text()
        'all of it'
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        state = "what was there before is kept" if path.exists() else "nothing is kept"
        raise OSError(
            error.errno, f"{path} cannot be written ({error.strerror or error}); {state}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Writes a file under a temporary name and renames it; see `whole_file`."""
    with whole_file(path) as file:
        file.write(content)
