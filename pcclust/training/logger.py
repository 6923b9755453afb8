"""Where curves of a run go: one protocol of three methods for every tracker of experiments."""

import dataclasses
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

from pcclust.training.callback import Callback, Plan, Step
from pcclust.training.method import Method
from pcclust.training.run_folder import Position

LoggerName = Literal["mlflow", "tensorboard", "wandb"]
TENSORBOARD: tuple[LoggerName, ...] = ("tensorboard",)
LOGGERS: tuple[LoggerName, ...] = get_args(LoggerName)


class Beginning(NamedTuple):
    """What a logger is told when training begins, or goes on.

    Attributes:
        stage: the name of the stage; empty where there is only one.
        settings: of the method, plain values by name.
        done: steps that were made before; what was logged after them is void.
    """

    stage: str
    settings: Mapping[str, Any]
    done: int


class Logger(Protocol):
    """Keeps the numbers of a run."""

    def start(self, beginning: Beginning) -> None:
        """Training begins, or goes on."""
        ...

    def log(self, values: Mapping[str, float], step: int) -> None:
        """These were measured when so many steps were made."""
        ...

    def stop(self) -> None:
        """Nothing more comes from this stage."""
        ...


class Logging(Callback):
    """Tells a logger how a run goes.

    Args:
        logger: one of ours (`create_logger`), or anything with its three methods.

    Example:
        >>> class Printed:
        ...     def start(self, beginning): print("from step", beginning.done)
        ...     def log(self, values, step): print(step, values)
        ...     def stop(self): print("done")
        >>> from pcclust.training import Logging, Step
        >>> told = Logging(Printed())
        >>> told.stepped(Step(number=1, epoch=1, loss=0.5, learning_rate=0.1))
        1 {'step_loss': 0.5, 'learning_rate': 0.1}
    """

    def __init__(self, logger: Logger) -> None:
        self._logger = logger
        self._stage = ""
        self._begun = False

    def planned(self, plan: Plan) -> None:
        """Remembers the stage, whose steps begin anew."""
        self._stage = plan.stage

    def started(self, method: Method, position: Position) -> None:
        """Starts the logger; what an interrupted run logged beyond its checkpoint is void."""
        done = position.epoch * method.steps_per_epoch + position.batch
        self._logger.start(Beginning(self._stage, _plain(method.config), done))
        self._begun = True

    def stepped(self, step: Step) -> None:
        """Logs the loss and the learning rate."""
        self._logger.log({"step_loss": step.loss, "learning_rate": step.learning_rate}, step.number)

    def measured(self, epoch: int | None, step: int, metrics: dict[str, float]) -> None:
        """Logs what was measured."""
        self._logger.log(metrics, step)

    def stopped(self) -> None:
        """Stops the logger, if it was started."""
        if self._begun:
            self._logger.stop()
        self._begun = False


def create_logger(name: str, folder: Path) -> Logger:
    """Returns a logger by its name.

    Args:
        name: "tensorboard", "wandb" or "mlflow", each an extra of that name.
        folder: of the run.

    Raises:
        ImportError: its library is not installed.
        ValueError: no such logger.
    """
    if name not in LOGGERS:
        raise ValueError(f"no logger {name!r} among {', '.join(LOGGERS)}")
    # Each brings a library of its own.
    logger: Logger = import_module(f"pcclust.training.{name}_logger").create(folder)
    return logger


def logging_callbacks(names: tuple[LoggerName, ...], folder: Path) -> list[Callback]:
    """Returns what tells each logger, once, how the run in a folder goes."""
    return [Logging(create_logger(name, folder)) for name in dict.fromkeys(names)]


def _plain(config: Any) -> dict[str, Any]:  # noqa: ANN401
    """Returns the settings as trackers take them: numbers, texts, and texts of all else."""
    return {
        name: value if isinstance(value, bool | int | float | str | None) else str(value)
        for name, value in dataclasses.asdict(config).items()
    }
