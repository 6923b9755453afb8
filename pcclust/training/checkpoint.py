"""The file that a run goes on from, with a checksum, and beside it the one before."""

import hashlib
import io
import os
import warnings
from pathlib import Path
from typing import Any

import torch

from pcclust._files import whole_file
from pcclust.data.measured import DataWarning

CHECKPOINT = "checkpoint.pt"
PREVIOUS = "checkpoint.previous.pt"
SEAL = b"\npcclust checkpoint, SHA-256 "
SEALED = len(SEAL) + hashlib.sha256().digest_size


class CheckpointFile:
    """``checkpoint.pt`` of a run and, in case it is damaged later, ``checkpoint.previous.pt``.

    Each is what `torch.save` writes, followed by its SHA-256, so that `torch.load` still reads it
    and a single bit that has changed is noticed. At every instant one whole file is there.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / CHECKPOINT
        self.previous = folder / PREVIOUS
        self._newest_is_good = True

    def exists(self) -> bool:
        """Returns whether there is one, or was one before."""
        return self.path.exists() or self.previous.exists()

    def write(self, state: dict[str, Any]) -> None:
        """Replaces the newest one, which becomes the previous one.

        Raises:
            OSError: it cannot be written; both are as they were.
        """
        buffer = io.BytesIO()  # torch's own writer does not raise OSError when the disk is full
        torch.save(state, buffer)
        content = buffer.getbuffer()
        with whole_file(self.path) as file:
            file.write(content)
            file.write(SEAL + hashlib.sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
            self._keep_newest()
        self._newest_is_good = True

    def read(self) -> Any:  # noqa: ANN401 - whatever was saved
        """Returns what the newest one holds, or where it is damaged or missing the previous one.

        Raises:
            ValueError: there is no whole one.

        Warns:
            DataWarning: it is the previous one.
        """
        try:
            return _read(self.path)
        except ValueError as error:
            try:
                state = _read(self.previous)
            except ValueError:
                raise error from None
            self._newest_is_good = False
            warnings.warn(
                DataWarning(f"{error}; the run goes on from the one before, {self.previous}"),
                stacklevel=2,
            )
            return state

    def _keep_newest(self) -> None:
        if not self._newest_is_good or not self.path.exists():
            return
        link = self.previous.with_name(f".{self.previous.name}.{os.getpid()}.tmp")
        link.unlink(missing_ok=True)
        try:
            link.hardlink_to(self.path)
        except OSError:  # a file system without hard links; `read` copes with what a kill leaves
            self.path.replace(self.previous)
            return
        link.replace(self.previous)
        link.unlink(missing_ok=True)  # rename does nothing where both are one file


def _read(path: Path) -> Any:  # noqa: ANN401
    try:
        sealed = path.read_bytes()
    except FileNotFoundError as error:
        raise ValueError(f"{path} is missing") from error
    content, seal, digest = sealed[:-SEALED], sealed[-SEALED:][: len(SEAL)], sealed[-32:]
    if seal != SEAL or hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{path} is damaged or no checkpoint: its checksum is wrong or missing")
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # whatever was sealed there, it was no checkpoint
        raise ValueError(f"{path} is no checkpoint ({type(error).__name__})") from error
