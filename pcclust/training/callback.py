"""Who is told how a run goes."""

from dataclasses import dataclass
from typing import NamedTuple

from pcclust.training.method import Method
from pcclust.training.run_folder import Position


@dataclass(frozen=True)
class Step:
    """One step of training, done.

    Attributes:
        number: from 1, over all epochs.
        epoch: from 1.
        loss: of this step's batch.
        learning_rate: of this step.
    """

    number: int
    epoch: int
    loss: float
    learning_rate: float


class Plan(NamedTuple):
    """Where the stage that begins now stands among all of them.

    Attributes:
        stage: its name.
        before: shapes that the stages before see, in all their epochs.
        total: shapes that all stages see.
    """

    stage: str
    before: int
    total: int


class Callback:
    """Is told how a run goes, in the first process only; this one does nothing about it."""

    def planned(self, plan: Plan) -> None:
        """A stage of several is about to begin."""

    def preparing(self, what: str, done: int, total: int) -> None:
        """Something that is done once is under way."""

    def started(self, method: Method, position: Position) -> None:
        """The first step is about to be made, at this position."""

    def stepped(self, step: Step) -> None:
        """A step is done."""

    def measured(self, epoch: int | None, step: int, metrics: dict[str, float]) -> None:
        """An epoch (from 1) is done, or with None the whole run; ``step`` steps were made."""

    def stopped(self) -> None:
        """There is nothing more to come."""
