"""Signals that ask a run to end, held back until it has saved what it has."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from pcclust import _signals


class Interruption:
    """Turns the first Ctrl-C, SIGTERM or SIGHUP into a wish; a second one raises KeyboardInterrupt.

    Attributes:
        wished: whether a signal came.
        at_once: whether the first one raises, too, because nothing is under way that is not saved.
    """

    def __init__(self) -> None:
        self.wished = False
        self.at_once = False

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Handles the signals within; elsewhere than in the main thread they stay as they are."""
        with _signals.handled(self._handle):
            yield

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.at_once or self.wished:
            self.wished = True
            raise KeyboardInterrupt
        self.wished = True
