"""How training ends."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """How `fit` ended.

    Attributes:
        complete: whether all epochs are done.
        interrupted: whether a signal stopped it, and not the time allowed.
        epoch: complete epochs.
        results: what the method measured at the end; empty before.
    """

    complete: bool
    interrupted: bool
    epoch: int
    results: dict[str, float]


class DivergedError(RuntimeError):
    """The loss is not finite."""
