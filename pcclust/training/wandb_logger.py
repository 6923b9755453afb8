"""Curves for Weights & Biases, the extra ``pcclust[wandb]``."""

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcclust._extras import require
from pcclust.training.logger import Beginning
from pcclust.training.tracked_run import TrackedRun


class WandbLogger:
    """Logs each stage as a run of W&B, in a group of the folder's name.

    Project, entity, mode and key are those of W&B's own settings (``WANDB_PROJECT``, …); without a
    project it is "pcclust". A run that goes on is the one it was; steps it has are passed over.

    Args:
        folder: of the run.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._wandb: Any = require("wandb", "--logger wandb")
        self._folder = folder
        self._run: Any = None

    def start(self, beginning: Beginning) -> None:
        """Begins a run of W&B, or goes on with it."""
        tracked = TrackedRun(self._folder, "wandb", beginning.stage)
        self._run = self._wandb.init(
            project=self._wandb.Settings().project or "pcclust",
            group=self._folder.name,
            name=tracked.name,
            id=tracked.goes_on(beginning.done) or tracked.keep(uuid.uuid4().hex),
            resume="allow",
            config=dict(beginning.settings),
            dir=str(self._folder),
        )

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Logs a point of each curve."""
        self._run.log(dict(values), step=step)

    def stop(self) -> None:
        """Ends the run of W&B."""
        self._run.finish()


def create(folder: Path) -> WandbLogger:
    """Returns the logger of a run."""
    return WandbLogger(folder)
