"""The folder of a run: its settings, its log, what it needs to go on, and its weights."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from pcclust._lock import LOCK, locked_folder
from pcclust.training.checkpoint import CheckpointFile
from pcclust.training.config import TrainingConfig, differences, read_config, write_config
from pcclust.training.method import Method

CONFIG = "config.yaml"
METRICS = "metrics.jsonl"


@dataclass
class Position:
    """How far a run is.

    Attributes:
        epoch: complete epochs.
        batch: batches of the epoch that has begun.
        sums: over these batches, of what their losses reported.
        seconds: spent on training steps.
        log_size: bytes of the log that belong to what is done.
        results: what was measured when all was done; None before.
    """

    epoch: int = 0
    batch: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    log_size: int = 0
    results: dict[str, float] | None = None


def is_left_by_killed(entry: Path) -> bool:
    """Returns whether a process that was killed may have left a file that means nothing."""
    return entry.suffix == ".tmp" or entry.name == LOCK


class RunFolder:
    """The folder of one run.

    ``config.yaml`` holds the settings, ``metrics.jsonl`` a line for each epoch and for some steps,
    ``checkpoint.pt`` what is needed to go on, ``checkpoint.previous.pt`` the one before,
    ``weights.safetensors`` and ``weights.json`` the model after the last complete epoch. Each file
    but the log is replaced whole, so that a killed run leaves the last good one.

    Args:
        path: the folder; made by `begin`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.checkpoint = CheckpointFile(self.path)
        self.metrics = self.path / METRICS

    def check_free(self) -> None:
        """Raises FileExistsError if there is a run already, or something else."""
        if (self.path / CONFIG).exists():
            raise FileExistsError(
                f"{self.path} holds a run already: go on with it by --resume, or give another --out"
            )
        if self.path.exists() and not self._is_empty():
            raise FileExistsError(f"{self.path} is there and is no run: give another --out")

    def check_config(self, config: TrainingConfig) -> None:
        """Raises ValueError if the run was begun with other settings; there may be no run yet."""
        if not (self.path / CONFIG).exists():
            return self.check_free()
        before = read_config(self.path / CONFIG, type(config))
        self._refuse(differences(before, config))
        return None

    def begin(self, config: TrainingConfig) -> None:
        """Makes the folder and writes the settings."""
        self.path.mkdir(parents=True, exist_ok=True)
        for left in self.path.glob(".*.tmp"):  # by a process that was killed
            left.unlink(missing_ok=True)
        write_config(self.path / CONFIG, config)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps other processes from writing into the folder; see `pcclust._lock`."""
        with locked_folder(self.path):
            yield

    def log(self, position: Position, line: dict[str, Any]) -> None:
        """Appends a line to the log."""
        written = json.dumps(line, ensure_ascii=False).encode() + b"\n"
        try:
            with self.metrics.open("ab") as file:
                file.write(written)
        except OSError as error:
            raise OSError(
                error.errno, f"{self.metrics} cannot be written ({error.strerror}); {self.kept()}"
            ) from error
        position.log_size += len(written)

    def save(self, method: Method, position: Position, optimizer: torch.optim.Optimizer) -> None:
        """Writes the checkpoint."""
        state = {
            "method": method.config.method,
            "config": asdict(method.config),
            "data_sha256": method.data_sha256,
            "position": asdict(position),
            "model": method.model.state_dict(),
            "optimizer": optimizer.state_dict(),
        }
        try:
            self.checkpoint.write(state)
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; make room, and {self.kept()}") from error

    def restore(self, method: Method, optimizer: torch.optim.Optimizer) -> Position:
        """Reads the checkpoint into model and optimiser, and cuts the log to what it covers.

        Returns:
            How far the run is; its very beginning where there is no checkpoint.

        Raises:
            ValueError: no checkpoint that is whole, or one of another method, config, model or
                data.

        Warns:
            DataWarning: the newest one is damaged, and it goes on from the one before.
        """
        position = Position()
        if self.checkpoint.exists():
            state = self._read()
            self._check(state, method)
            try:
                method.model.load_state_dict(state["model"])
                optimizer.load_state_dict(state["optimizer"])
            except (RuntimeError, ValueError) as error:
                reason = str(error).splitlines()[0]
                raise ValueError(f"{self.checkpoint.path} is of another model: {reason}") from error
            position = Position(**state["position"])
        if self.metrics.exists():
            os.truncate(self.metrics, min(position.log_size, self.metrics.stat().st_size))
        return position

    def kept(self) -> str:
        """Says what an interruption leaves."""
        if not self.checkpoint.exists():
            return "begin anew with --resume, there is no checkpoint yet"
        return f"go on from {self.checkpoint.path} with --resume"

    def _is_empty(self) -> bool:
        """Returns whether it is a folder with nothing but what a killed process may have left."""
        return self.path.is_dir() and all(map(is_left_by_killed, self.path.iterdir()))

    def _read(self) -> dict[str, Any]:
        try:
            state = self.checkpoint.read()
        except ValueError as error:
            raise ValueError(
                f"{error}, and there is no whole one before it; it can only be removed, and the "
                "run begins anew with --resume. The weights of its last complete epoch may still "
                f"be whole: pcclust.load({str(self.path)!r})"
            ) from error
        expected = {"method", "config", "data_sha256", "position", "model", "optimizer"}
        if not isinstance(state, dict) or set(state) != expected:
            raise ValueError(f"{self.checkpoint.path} is no checkpoint of a run of this version")
        return state

    def _check(self, state: dict[str, Any], method: Method) -> None:
        if state["method"] != method.config.method:
            raise ValueError(
                f"{self.checkpoint.path} is of the method {state['method']!r}, not "
                f"{method.config.method!r}: give another --out"
            )
        self._refuse(differences(state["config"], method.config))
        if state["data_sha256"] != method.data_sha256:
            raise ValueError(
                f"{self.checkpoint.path} was made with other training data (SHA-256 "
                f"{state['data_sha256'][:12]}…, now {method.data_sha256[:12]}…): give another --out"
            )

    def _refuse(self, differing: list[str]) -> None:
        if differing:
            raise ValueError(
                f"{self.path} was begun with other settings: {'; '.join(differing)}. Go on with "
                "the same ones, or give another --out"
            )
