"""Curves for TensorBoard, the extra ``pcclust[tensorboard]``."""

from pathlib import Path
from typing import Any

from pcclust._extras import require
from pcclust.training.callback import Callback, Plan, Step
from pcclust.training.method import Method
from pcclust.training.run_folder import Position


class TensorBoard(Callback):
    """Writes losses and what is measured for TensorBoard.

    Args:
        folder: of the event files.

    Raises:
        ImportError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        require("tensorboard", "--tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._root = folder
        self._folder = folder
        self._create: Any = SummaryWriter
        self._writer: Any = None

    def planned(self, plan: Plan) -> None:
        """Gives each stage a folder of its own, whose steps begin anew."""
        self._folder = self._root / plan.stage

    def started(self, method: Method, position: Position) -> None:
        """Opens the file; what an interrupted run wrote beyond its checkpoint is taken back."""
        done = position.epoch * method.steps_per_epoch + position.batch
        self._writer = self._create(str(self._folder), purge_step=done + 1)

    def stepped(self, step: Step) -> None:
        """Writes the loss and the learning rate."""
        self._write(step.number, {"step_loss": step.loss, "learning_rate": step.learning_rate})

    def measured(self, epoch: int | None, step: int, metrics: dict[str, float]) -> None:
        """Writes what was measured."""
        self._write(step, metrics)

    def stopped(self) -> None:
        """Closes the file."""
        if self._writer is not None:
            self._writer.close()

    def _write(self, step: int, values: dict[str, float]) -> None:
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
