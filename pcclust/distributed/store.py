"""A folder of whole files, on a disk or in an object store behind any URL that fsspec knows.

Disks, S3, GCS, HDFS and others are asked in one way: fsspec brings them together. What a store
fails to do is tried again, and said in one sentence where it stays so.
"""

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from pcclust._extras import require
from pcclust._files import write_whole

Answer = TypeVar("Answer")

TRIES = 4
FIRST_PAUSE = 0.5  # seconds before the second try; doubled for each further one
PATIENCE = 120.0  # seconds for an answer, and a second more for each of these bytes
SLOWEST = 1_000_000
# What no waiting changes.
FINAL = (FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError)


class StoreError(OSError):
    """A store that refuses, does not answer, or returns half a file."""


class Store:
    """A folder that takes whole files.

    Args:
        url: a local path, or what fsspec takes: ``s3://bucket/folder``, ``gs://…``, ``hdfs://…``.

    Attributes:
        url: as given, without a slash at the end.
        local: the folder, where it is on this machine; None elsewhere.

    Raises:
        ImportError: fsspec, or what brings this kind of store to it, is not installed.
        ValueError: a kind of store that fsspec does not know.

    Example:
        >>> import tempfile
        >>> from pcclust.distributed.store import Store
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = Store(folder)
        ...     store.publish("a.txt", b"all of it")
        ...     store.names(), store.read("a.txt")
        (['a.txt'], b'all of it')
    """

    def __init__(self, url: str | os.PathLike[str]) -> None:
        self.url = os.fspath(url).rstrip("/") or "/"
        self.local = None if is_url(self.url) else Path(self.url)
        self._fs, self._root = file_system(self.url)

    def __repr__(self) -> str:
        return f"Store({self.url!r})"

    def place(self, name: str) -> str:
        """Returns how a file in it is called, for messages and for others that open it."""
        return f"{self.url}/{name}"

    def names(self) -> list[str]:
        """Returns the names of all files in it, sorted; none where the folder is not there.

        Raises:
            StoreError: it does not answer, or refuses.
        """

        def listed() -> list[str]:
            self._fs.invalidate_cache()
            try:
                entries = self._fs.ls(self._root, detail=True)
            except FileNotFoundError:
                return []
            files = [entry["name"] for entry in entries if entry["type"] == "file"]
            return sorted(name.rstrip("/").rpartition("/")[2] for name in files)

        return patiently(listed, f"{self.url} cannot be listed")

    def has(self, name: str) -> bool:
        """Returns whether a file is there.

        Raises:
            StoreError: it does not answer, or refuses.
        """

        def found() -> bool:
            self._fs.invalidate_cache()
            return bool(self._fs.exists(self._path(name)))

        return patiently(found, f"{self.place(name)} cannot be looked for")

    def read(self, name: str) -> bytes:
        """Returns the content of a file.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the store does not answer, refuses, or returns a part of the file.
        """
        return read_whole(self._fs, self._path(name), self.place(name))

    def open(self, name: str) -> BinaryIO:
        """Opens a file for reading; whoever asks closes it.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the store does not answer, or refuses.
        """
        if self.local is not None:
            return (self.local / name).open("rb")
        path = self._path(name)
        opened: BinaryIO = patiently(
            lambda: self._fs.open(path, "rb"), f"{self.place(name)} cannot be opened"
        )
        return opened

    def publish(self, name: str, content: bytes) -> None:
        """Writes a file under a temporary name, and gives it its own when all of it is there.

        Raises:
            OSError: a disk that is full, or may not be written; a bucket that is not there.
            StoreError: a store that does not answer, refuses, or keeps a part of the file.
        """
        if self.local is not None:
            self.local.mkdir(parents=True, exist_ok=True)
            write_whole(self.local / name, content)
            return
        temporary = self._path(f".{name}.{os.getpid()}-{time.time_ns():x}.tmp")

        def put() -> None:
            if self._root.startswith("/"):  # others have no folders, and would make a bucket
                self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(temporary, content)
            self._fs.invalidate_cache()
            kept = self._fs.info(temporary)["size"]
            if kept != len(content):
                raise StoreError(f"it keeps {kept:,} of {len(content):,} bytes")
            self._fs.mv(temporary, self._path(name))

        try:
            patiently(put, f"{self.place(name)} cannot be written", len(content))
        except FileNotFoundError as error:
            raise FileNotFoundError(
                f"{self.place(name)} cannot be written ({error}): make the bucket first, or name "
                "one that is there"
            ) from error

    def remove(self, name: str) -> None:
        """Removes a file, where it is there."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def is_url(place: str) -> bool:
    """Returns whether a place is a URL, and not a path on this machine.

    Example:
        >>> is_url("s3://bucket/shapes"), is_url("shapes/a.off")
        (True, False)
    """
    return "://" in place


def file_system(url: str) -> tuple[Any, str]:
    """Returns fsspec's file system of a place, and what the place is called there.

    Raises:
        ImportError: fsspec, or what brings this kind of store to it, is not installed.
        ValueError: a kind of store that fsspec does not know.
    """
    require("fsspec", "shards")
    import fsspec.core

    try:
        system, path = fsspec.core.url_to_fs(url)
    except ImportError as error:
        raise ImportError(f"{url}: {error}") from error
    except ValueError as error:
        raise ValueError(f"{url}: fsspec cannot open it ({error})") from error
    return system, str(path)


def read_whole(system: Any, path: str, called: str) -> bytes:  # noqa: ANN401 (fsspec has no types)
    """Returns the content of a file, tried again where a store returns less than all of it.

    Args:
        system: of fsspec.
        path: of the file there.
        called: the file in messages.

    Raises:
        FileNotFoundError: there is none.
        StoreError: the store does not answer, refuses, or returns a part of the file.
    """

    def read() -> bytes:
        expected = system.info(path)["size"]
        content: bytes = system.cat_file(path)
        if expected is not None and len(content) != expected:
            raise StoreError(f"{len(content):,} of its {expected:,} bytes came")
        return content

    return patiently(read, f"{called} cannot be read")


def patiently(action: Callable[[], Answer], failed: str, size: int = 0) -> Answer:
    """Asks a store, and again where it fails.

    Args:
        action: what is asked.
        failed: what to say of it where it fails.
        size: bytes that are moved.

    Raises:
        FileNotFoundError: and the like, at once: what no waiting changes.
        StoreError: it has failed four times; says what, and the last reason.
    """
    pause = FIRST_PAUSE
    for number in range(1, TRIES + 1):
        try:
            return _within(PATIENCE + size / SLOWEST, action)
        except FINAL:
            raise
        except Exception as error:  # each store has exceptions of its own
            if number == TRIES:
                reason = str(error) or type(error).__name__
                raise StoreError(
                    f"{failed} ({reason}; tried {TRIES} times): see to the store and your rights "
                    "there; the same command then goes on"
                ) from error
        time.sleep(pause)
        pause *= 2
    raise AssertionError


def _within(seconds: float, action: Callable[[], Answer]) -> Answer:
    """Returns what an action returns, unless it takes too long."""
    answers: queue.Queue[tuple[Answer | None, BaseException | None]] = queue.Queue()

    def ask() -> None:
        try:
            answers.put((action(), None))
        except BaseException as error:  # raised again where it is waited for
            answers.put((None, error))

    threading.Thread(target=ask, daemon=True).start()
    try:
        answer, error = answers.get(timeout=seconds)
    except queue.Empty:
        raise StoreError(f"no answer in {seconds:.0f} seconds") from None
    if error is not None:
        raise error
    return answer  # type: ignore[return-value]
