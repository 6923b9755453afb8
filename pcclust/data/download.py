"""Downloads that resume, try several mirrors, and are checked before they get their name."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeAlias

import requests

ATTEMPTS = 5  # that bring nothing
CHUNK = 2**16  # what a cut connection loses at most
TIMEOUT = (15, 60)  # seconds to connect, and between two chunks

# Called with the bytes there are and the bytes there will be, if known.
Progress: TypeAlias = Callable[[int, int | None], None]


class DownloadError(OSError):
    """No mirror gave the file; the message says what each of them did."""


class _BadContentError(Exception):
    """A mirror offers something else than the file: trying again does not help."""


class _InterruptedError(Exception):
    """The transfer broke off: what has arrived is kept."""


@dataclass(frozen=True)
class Download:
    """A file that has arrived.

    Attributes:
        path: where it is.
        url: where it came from.
        size: bytes.
        sha256: of its content.
    """

    path: Path
    url: str
    size: int
    sha256: str


def download(
    mirrors: Sequence[str],
    path: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: Progress | None = None,
    pause: float = 1.0,
) -> Download:
    """Downloads one file from the first mirror that has it.

    What arrives is kept in ``path`` + ".part" until it is whole and checked; an interrupted
    download goes on from there, also in a later run.

    Args:
        mirrors: URLs of the same bytes.
        path: where the file will be.
        size: bytes, if known.
        sha256: of the content, if known.
        progress: told how far the transfer is.
        pause: seconds before a second attempt, doubled for each further one.

    Raises:
        DownloadError: no mirror gave a file of that size and content.
        OSError: the file cannot be written, for instance because the disk is full.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with requests.Session() as session:
        for url in mirrors:
            transfer = _Transfer(session, url, path, size, sha256, progress)
            try:
                return transfer.run(pause)
            except (_BadContentError, _InterruptedError) as error:
                failures.append(f"\n  - {url}: {error}")
    raise DownloadError(
        f"{path.name} could not be downloaded:{''.join(failures)}\n"
        "Run the command again to go on, or put the data in place by hand."
    )


@dataclass
class _Transfer:
    """One file from one mirror."""

    session: requests.Session
    url: str
    path: Path
    size: int | None
    sha256: str | None
    progress: Progress | None

    @property
    def part(self) -> Path:
        return self.path.with_name(self.path.name + ".part")

    @property
    def notes(self) -> Path:
        return self.path.with_name(self.path.name + ".part.json")

    def run(self, pause: float) -> Download:
        """Goes on as long as each attempt brings more, and gives up after five that do not."""
        most, failures = 0, 0
        while True:
            resumed = self._arrived() > 0
            try:
                self._receive()
                return self._finish()
            except _BadContentError:
                self._discard()
                if not resumed:
                    raise
            except _InterruptedError:
                failures = 0 if self._arrived() > most else failures + 1
                most = max(most, self._arrived())
                if failures == ATTEMPTS:
                    raise
            time.sleep(pause * 2**failures)

    def _arrived(self) -> int:
        """Returns how many bytes are there to go on from."""
        if not self.part.exists():
            return 0
        # With a known hash any mirror may go on; else only the one that began.
        if self.sha256 is None and self._noted().get("url") != self.url:
            self._discard()
            return 0
        return self.part.stat().st_size

    def _receive(self) -> None:
        start = self._arrived()
        try:
            with self.session.get(
                self.url, headers=self._headers(start), stream=True, timeout=TIMEOUT
            ) as response:
                self._check_answer(response)
                start = start if response.status_code == HTTPStatus.PARTIAL_CONTENT else 0
                total = self._total(response, start)
                self._note(response)
                self._write(response, start, total)
        except requests.exceptions.SSLError as error:
            raise _BadContentError(f"its certificate cannot be trusted ({error})") from error
        except requests.exceptions.RequestException as error:
            raise _InterruptedError(f"the connection failed ({error})") from error

    def _headers(self, start: int) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "pcclust"}
        if start:
            headers["Range"] = f"bytes={start}-"
            validator = self._noted().get("validator")
            if validator and self._noted().get("url") == self.url:
                headers["If-Range"] = validator
        return headers

    def _check_answer(self, response: requests.Response) -> None:
        status = response.status_code
        if self.url.startswith("https:") and not response.url.startswith("https:"):
            raise _BadContentError(f"it sends us on to {response.url}, which is not encrypted")
        if status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            self._discard()
            raise _InterruptedError("it cannot go on where we stopped")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _InterruptedError(f"it answers {status} {response.reason}")
        if status not in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            raise _BadContentError(f"it answers {status} {response.reason}")

    def _total(self, response: requests.Response, start: int) -> int | None:
        """Returns the size of the file by the server's words, checked against what we know."""
        total = None
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            given, _, whole = response.headers.get("Content-Range", "").partition("/")
            if not given.startswith(f"bytes {start}-"):
                self._discard()
                raise _InterruptedError(f"it goes on at {given!r} instead of {start}")
            total = int(whole) if whole.isdigit() else None
        elif response.headers.get("Content-Length", "").isdigit():
            total = int(response.headers["Content-Length"])
        if self.size is not None and total is not None and total != self.size:
            raise _BadContentError(f"it offers {total:,} bytes, the file has {self.size:,}")
        return total if total is not None else self.size

    def _write(self, response: requests.Response, start: int, total: int | None) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if total is not None and total - start > free:
            raise OSError(
                f"{self.path.name} needs {total - start:,} more bytes in {self.path.parent}, "
                f"where {free:,} are free; make room and run the command again"
            )
        arrived = start
        with self.part.open("r+b" if start else "wb") as file:
            file.seek(start)
            for chunk in response.iter_content(CHUNK):
                arrived += len(chunk)
                if total is not None and arrived > total:
                    raise _BadContentError(f"it sends more than the {total:,} bytes announced")
                file.write(chunk)
                if self.progress:
                    self.progress(arrived, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and arrived < total:
            raise _InterruptedError(f"it stopped after {arrived:,} of {total:,} bytes")

    def _finish(self) -> Download:
        digest, size = sha256_of(self.part), self.part.stat().st_size
        if self.size is not None and size != self.size:
            raise _BadContentError(f"it sent {size:,} bytes, the file has {self.size:,}")
        if self.sha256 is not None and digest != self.sha256:
            raise _BadContentError(f"what it sent has SHA-256 {digest}, not {self.sha256}")
        self.part.replace(self.path)
        self.notes.unlink(missing_ok=True)
        return Download(self.path, self.url, size, digest)

    def _note(self, response: requests.Response) -> None:
        tag = response.headers.get("ETag", "")
        # A weak tag says nothing of single bytes.
        strong = tag if not tag.startswith("W/") else ""
        validator = strong or response.headers.get("Last-Modified", "")
        self.notes.write_text(json.dumps({"url": self.url, "validator": validator}))

    def _noted(self) -> dict[str, str]:
        try:
            noted: dict[str, str] = json.loads(self.notes.read_text())
        except (OSError, ValueError):
            return {}
        return noted

    def _discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.notes.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file in hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
