"""Locks on what is written, so that two processes never write one output.

A lock is `flock` on a small file in a folder or beside a file. The kernel lets go of it when its
process ends, even killed, so nothing has to be cleaned up by hand. On a file system that keeps no
locks (some network and FUSE mounts) work goes on with a warning.
"""

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

LOCK = ".pcclust.lock"
NOT_KEPT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL)


class OutputLockedError(OSError):
    """Another process writes there."""


@contextmanager
def locked_file(path: Path) -> Iterator[None]:
    """Keeps other processes from writing a file, or a folder that appears whole; see `locked`.

    Args:
        path: the output, which need not be there yet; its folder is.

    Raises:
        OutputLockedError: another process writes it; says which.
        OSError: nothing can be written there.
    """
    with _locked(path, path.absolute().with_name(f".{path.absolute().name}.lock")):
        yield


@contextmanager
def locked_folder(path: Path | None) -> Iterator[None]:
    """Keeps other processes from writing into a folder.

    Args:
        path: the folder; made if need be, and removed where nothing came into it. None locks
            nothing.

    Raises:
        OutputLockedError: another process writes there; says which.
        OSError: nothing can be written there.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from pcclust._lock import OutputLockedError, locked_folder
        >>> with tempfile.TemporaryDirectory() as folder, locked_folder(Path(folder)):
        ...     try:
        ...         with locked_folder(Path(folder)):
        ...             pass
        ...     except OutputLockedError as error:
        ...         "is being written by process" in str(error)
        True
    """
    if path is None:
        yield
        return
    made = not path.exists()
    try:
        _make(path)
        with _locked(path, path / LOCK):
            yield
    finally:
        if made and path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _make(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"{path}: is a file; name a folder")
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(output: Path, error: OSError) -> OSError:
    return OSError(
        f"nothing can be written to {output} ({error.strerror}): name another place, or see to "
        "it that there is room and that you may write there"
    )


@contextmanager
def _locked(output: Path, file: Path) -> Iterator[None]:
    lock = _acquired(output, file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)  # while it is held: see _is_current
        os.close(lock)


def _acquired(output: Path, file: Path) -> int:
    while True:
        try:
            lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise _unwritable(output, error) from error
        try:
            _lock(lock, output)
            if _is_current(lock, file):
                with suppress(OSError):  # on a full disk nobody is told who it is
                    os.ftruncate(lock, 0)
                    os.write(lock, json.dumps(_holder()).encode())
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _lock(lock: int, output: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputLockedError(
            f"{output} is being written by {_described(lock)}: wait until it is done, stop it, or "
            "name another output",
        ) from None
    except OSError as error:
        if error.errno not in NOT_KEPT:
            raise
        warnings.warn(
            f"the file system of {output} keeps no locks ({error.strerror}): see to it that no "
            "other process writes there",
            stacklevel=5,
        )


def _is_current(lock: int, file: Path) -> bool:
    """Returns whether the file that is locked still has its name: its last holder may remove it."""
    try:
        return os.path.samestat(os.fstat(lock), file.stat())
    except FileNotFoundError:
        return False


def _holder() -> dict[str, str | int]:
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(sys.argv),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _described(lock: int) -> str:
    try:
        holder = json.loads(os.pread(lock, 65536, 0))
        return (
            f"process {holder['pid']} on {holder['host']}, since {holder['since']} "
            f"({holder['command']})"
        )
    except (ValueError, KeyError, TypeError):  # it has only just begun
        return "another process"
