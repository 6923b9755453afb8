"""Ctrl-C and SIGTERM, held back until the run has saved what it has."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Interruption:
    """Rotations the first Ctrl-C or SIGTERM into a wish; a second one raises KeyboardInterrupt.

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
        try:
            before: dict[signal.Signals, Any] = {
                number: signal.signal(number, self._handle)
                for number in (signal.SIGINT, signal.SIGTERM)
            }
        except ValueError:
            before = {}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.at_once or self.wished:
            self.wished = True
            raise KeyboardInterrupt
        self.wished = True
