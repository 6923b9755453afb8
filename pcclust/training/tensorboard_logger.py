"""Curves for TensorBoard, the extra ``pcclust[tensorboard]``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcclust._extras import require
from pcclust.training.logger import Beginning


class TensorBoardLogger:
    """Writes event files, those of each stage into a folder of its own.

    Args:
        folder: of the event files.

    Raises:
        ImportError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "--logger tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._folder = folder
        self._create: Any = SummaryWriter
        self._writer: Any = None

    def start(self, beginning: Beginning) -> None:
        """Opens the file; steps that were written and are made again are taken back."""
        folder = self._folder / beginning.stage
        self._writer = self._create(str(folder), purge_step=beginning.done + 1)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Writes a point of each curve."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)

    def stop(self) -> None:
        """Closes the file."""
        self._writer.close()


def create(folder: Path) -> TensorBoardLogger:
    """Returns the logger of a run."""
    return TensorBoardLogger(folder / "tensorboard")
