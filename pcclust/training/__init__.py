"""Training of any method: settings, the loop, the folder of a run."""

from pcclust.training.callback import Callback, Step
from pcclust.training.config import TrainingConfig, read_config, write_config
from pcclust.training.logger import Logger, Logging, create_logger
from pcclust.training.loop import fit
from pcclust.training.method import Method, Progress
from pcclust.training.outcome import DivergedError, Outcome
from pcclust.training.run_folder import Position, RunFolder

__all__ = [
    "Callback",
    "DivergedError",
    "Logger",
    "Logging",
    "Method",
    "Outcome",
    "Position",
    "Progress",
    "RunFolder",
    "Step",
    "TrainingConfig",
    "create_logger",
    "fit",
    "read_config",
    "write_config",
]
