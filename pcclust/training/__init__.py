"""Training of any method: settings, the loop, the folder of a run."""

from pcclust.training.config import TrainingConfig, read_config, write_config
from pcclust.training.loop import DivergedError, Outcome, fit
from pcclust.training.method import Method, Progress
from pcclust.training.run_folder import Position, RunFolder
from pcclust.training.watcher import Step, Watcher

__all__ = [
    "DivergedError",
    "Method",
    "Outcome",
    "Position",
    "Progress",
    "RunFolder",
    "Step",
    "TrainingConfig",
    "Watcher",
    "fit",
    "read_config",
    "write_config",
]
