"""Many shapes from many files, read ahead by several processes, in a fixed order."""

import glob
import os
from collections.abc import Collection, Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pcclust._names import nearest_path
from pcclust.data._reader_processes import map_in_processes
from pcclust.data.readers import SUFFIXES, count_clouds, holds_many, read_clouds, read_points
from pcclust.data.walk import find_shapes

# Text in a folder is as often a note or a list as a cloud, so folders are searched without it.
FOLDER_SUFFIXES = frozenset(SUFFIXES) - {".txt", ".csv"}
# A reader process needs seconds to start, so it has to have this many files to pay.
FILES_PER_WORKER = 64
PROCESS_DIED = "the process that read it died: it lacked memory, or a library failed on the file"


class NamedCloud(NamedTuple):
    """One shape that was read: its name and ``(N, 3)`` points, float64 of a file."""

    name: str
    points: NDArray[np.floating]


class ReadFailure(NamedTuple):
    """One shape, or file of shapes, that could not be read, and why."""

    name: str
    reason: str


ReadResult: TypeAlias = NamedCloud | ReadFailure


def find_files(patterns: Sequence[str], ignore: Collection[Path] = ()) -> list[Path]:
    """Finds the files that a user means.

    Args:
        patterns: files, folders (searched through all levels for every format that `read_points`
            knows but TXT and CSV, which often are notes) and glob patterns (``**`` for any level).
        ignore: files and folders to leave out, such as an output in a folder that is searched.

    Returns:
        Each file once: patterns in their order, the files of each in the order of their names.

    Raises:
        FileNotFoundError: nothing is there under one of the patterns.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pcclust.data import find_files
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.off", "a.obj", "notes.txt"):
        ...     (folder / name).touch()
        >>> [file.name for file in find_files([str(folder)])]
        ['a.obj', 'b.off']
    """
    ignored = {path.resolve() for path in ignore}
    found: dict[Path, Path] = {}
    for pattern in patterns:
        files = [path for path in _matches(pattern) if not _is_under(path.resolve(), ignored)]
        if not files:
            raise FileNotFoundError(_nothing_found(pattern))
        for path in files:
            found.setdefault(path.resolve(), path)
    return list(found.values())


def name_clouds(path: Path) -> list[str]:
    """Names the shapes of a file: its path or, of several clouds, ``path[0]``, ``path[1]``, ….

    Args:
        path: a file; only those that may hold many clouds are opened.

    Raises:
        OSError: as for `read_points`.
        ValueError: as for `count_clouds`.
    """
    count = count_clouds(path) if holds_many(path) else 1
    return [path.as_posix()] if count == 1 else [f"{path.as_posix()}[{i}]" for i in range(count)]


def stream_clouds(
    files: Sequence[Path],
    num_points: int | None = None,
    seed: int = 0,
    *,
    skip: Collection[str] = (),
    workers: int | None = None,
) -> Generator[ReadResult, None, None]:
    """Reads the shapes of many files in float64, in order, holding few of them in memory.

    Files of one shape are read ahead by other processes, since parsing a mesh takes longer than
    most of what is done with it; files of many clouds are streamed by this process.

    Args:
        files: as `find_files` returns them.
        num_points: as for `read_points`.
        seed: as for `read_points`, for every shape.
        skip: names of shapes that are not wanted.
        workers: processes that read; 0 reads in this process. Where nothing is said, one per
            processor, at most 8, and one for every 64 files.

    Yields:
        Each shape, or why it could not be read; a file that cannot be read stops nothing.

    Raises:
        ValueError: a negative number of workers.
    """
    unwanted = frozenset(skip)
    single = [p for p in files if not holds_many(p) and p.as_posix() not in unwanted]
    ahead = read_ahead(single, num_points, seed, _worker_count(workers, len(single)))
    try:
        for path in files:
            if holds_many(path):
                yield from _read_many(path, num_points, seed, unwanted)
            elif path.as_posix() not in unwanted:
                yield next(ahead)
    finally:
        ahead.close()


def _matches(pattern: str) -> list[Path]:
    path = Path(pattern)
    if path.is_dir():
        return find_shapes(path, FOLDER_SUFFIXES)
    if path.exists():
        return [path]
    found = glob.glob(pattern, recursive=True)  # noqa: PTH207 (Path.glob: no absolute patterns)
    return sorted(path for path in map(Path, found) if path.is_file())


def _nothing_found(pattern: str) -> str:
    if not Path(pattern).is_dir():
        hint = nearest_path(pattern) or ", and no file matches it as a pattern"
        return f"{pattern}: there is no such file or folder{hint}"
    known = ", ".join(sorted(FOLDER_SUFFIXES))
    return (
        f"{pattern}: no file in this folder has a known format ({known}); "
        f"name text files by a pattern such as '{pattern}/*.txt'"
    )


def _is_under(path: Path, folders: Collection[Path]) -> bool:
    return path in folders or any(parent in folders for parent in path.parents)


def _worker_count(workers: int | None, files: int) -> int:
    if workers is None:
        return min(8, os.cpu_count() or 1, files // FILES_PER_WORKER)
    if workers < 0:
        raise ValueError(f"workers={workers} must not be negative")
    return min(workers, files)


def _read_many(
    path: Path, num_points: int | None, seed: int, unwanted: frozenset[str]
) -> Iterator[ReadResult]:
    """Reads a file of many clouds up to the first that is broken, and each after it alone."""
    try:
        names = name_clouds(path)
    except (OSError, ValueError, ImportError) as error:
        yield ReadFailure(path.as_posix(), str(error))
        return
    wanted = [index for index, name in enumerate(names) if name not in unwanted]
    yield from read_some(path, [names[index] for index in wanted], wanted, num_points, seed)


def read_some(
    path: Path, names: Sequence[str], indices: Sequence[int], num_points: int | None, seed: int
) -> Iterator[ReadResult]:
    """Yields some shapes of a file of many, or why one cannot be read.

    Args:
        path: the file.
        names: of the shapes.
        indices: which they are of the file's.
        num_points: as for `read_points`.
        seed: as for `read_points`, for every shape.
    """
    done = 0
    while done < len(indices):
        clouds = read_clouds(path, num_points, seed, indices=indices[done:], dtype=np.float64)
        try:
            for points in clouds:
                yield NamedCloud(names[done], points.astype(np.float64, copy=False))
                done += 1
        except (OSError, ValueError, MemoryError) as error:
            yield ReadFailure(names[done], str(error))
            done += 1


def read_one(path: Path, num_points: int | None, seed: int) -> ReadResult:
    """Returns the shape of a file of one, float64, or why it cannot be read."""
    try:
        points = read_points(path, num_points, seed, dtype=np.float64)
    except (OSError, ValueError, ImportError, MemoryError) as error:
        return ReadFailure(path.as_posix(), str(error))
    return NamedCloud(path.as_posix(), points.astype(np.float64, copy=False))


def read_ahead(
    paths: Sequence[Path], num_points: int | None, seed: int, workers: int
) -> Generator[ReadResult, None, None]:
    """Yields the shape of each file of one, or why it cannot be read, read ahead by processes.

    Args:
        paths: the files.
        num_points: as for `read_points`.
        seed: as for `read_points`.
        workers: processes; 0 reads in this one.
    """
    read = partial(read_one, num_points=num_points, seed=seed)
    if workers == 0:
        yield from map(read, paths)
        return
    with closing(map_in_processes(read, paths, workers)) as results:
        for path, result in zip(paths, results, strict=True):
            yield result or ReadFailure(path.as_posix(), f"{path}: {PROCESS_DIED}")
