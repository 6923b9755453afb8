"""Curves for MLflow, the extra ``pcclust[mlflow]``."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pcclust._extras import require
from pcclust.training.logger import Beginning
from pcclust.training.tracked_run import TrackedRun


class MLflowLogger:
    """Logs each stage as a run of MLflow.

    The tracking server and the experiment are those of MLflow's own settings
    (``MLFLOW_TRACKING_URI``, ``MLFLOW_EXPERIMENT_NAME``). A run that goes on is the one it was.

    Args:
        folder: of the run.

    Raises:
        ImportError: mlflow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._mlflow: Any = require("mlflow", "--logger mlflow")
        self._folder = folder

    def start(self, beginning: Beginning) -> None:
        """Begins a run of MLflow, or goes on with it."""
        tracked = TrackedRun(self._folder, "mlflow", beginning.stage)
        known = tracked.goes_on(beginning.done)
        if known is not None:
            self._mlflow.start_run(run_id=known)
            return
        tracked.keep(self._mlflow.start_run(run_name=tracked.name).info.run_id)
        self._mlflow.log_params(dict(beginning.settings))

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Logs a point of each curve; MLflow takes no NaN."""
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        if finite:
            self._mlflow.log_metrics(finite, step=step)

    def stop(self) -> None:
        """Ends the run of MLflow."""
        self._mlflow.end_run()


def create(folder: Path) -> MLflowLogger:
    """Returns the logger of a run."""
    return MLflowLogger(folder)
