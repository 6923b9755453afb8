"""Files of stores on the disk of this machine, for the readers, which take paths."""

import tempfile
from pathlib import Path, PurePosixPath
from types import TracebackType

from pcclust.distributed.store import file_system, is_url, read_whole


class Fetched:
    """Keeps one file of a store at a time on this machine's disk.

    So a large file of many shapes is fetched once for the shards that it is described in.

    Example:
        >>> from pcclust.distributed.fetched import Fetched
        >>> with Fetched() as fetched:
        ...     fetched.path("a.off").name  # of this machine already
        'a.off'
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="pcclust-")
        self._url = ""

    def path(self, place: str) -> Path:
        """Returns where a file lies, a path or a URL, once all of it is there.

        Raises:
            FileNotFoundError: a store has none.
            StoreError: a store that does not answer, refuses, or returns a part of the file.
        """
        if not is_url(place):
            return Path(place)
        target = self._target(place)
        if place != self._url:
            if self._url:
                self._target(self._url).unlink(missing_ok=True)
                self._url = ""
            system, path = file_system(place)
            target.write_bytes(read_whole(system, path, place))
            self._url = place
        return target

    def _target(self, url: str) -> Path:
        return Path(self._folder.name) / PurePosixPath(url).name

    def __enter__(self) -> "Fetched":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._folder.cleanup()
