"""Signals that ask a process to end: Ctrl-C, SIGTERM (by kill), SIGHUP (of a terminal)."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeAlias

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Seconds until a KeyboardInterrupt is raised again that Python could not let through.
AGAIN = 0.01
Handler: TypeAlias = Callable[[int, FrameType | None], None]

_received: list[int] = []


@contextmanager
def handled(handler: Handler) -> Iterator[None]:
    """Handles these signals within; elsewhere than in the main thread they stay as they are.

    One that is ignored, as SIGHUP is under nohup, stays ignored.
    """
    before: dict[signal.Signals, Any] = {}

    def noted(number: int, frame: FrameType | None) -> None:
        _received.append(number)
        handler(number, frame)

    try:
        for number in ENDING:
            if signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, noted)
    except ValueError:  # another thread
        before = {}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextmanager
def interrupting() -> Iterator[None]:
    """Makes all of them raise KeyboardInterrupt within."""
    _received.clear()

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with handled(interrupt), _none_lost(interrupt):
        yield


@contextmanager
def _none_lost(interrupt: Handler) -> Iterator[None]:
    """Raises KeyboardInterrupt again, soon, where Python only reports it and goes on.

    That is so in ``__del__`` and in callbacks of weak references. Again in one, again it comes.
    """
    usual, before = sys.unraisablehook, signal.getsignal(signal.SIGALRM)

    def report(unraisable: "sys.UnraisableHookArgs") -> None:
        if issubclass(unraisable.exc_type, KeyboardInterrupt):
            # Here it would be lost like the first: a timer raises it where the program goes on.
            signal.signal(signal.SIGALRM, interrupt)
            signal.setitimer(signal.ITIMER_REAL, AGAIN)
        else:
            usual(unraisable)

    sys.unraisablehook = report
    try:
        yield
    finally:
        sys.unraisablehook = usual
        if signal.getsignal(signal.SIGALRM) is interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def exit_code() -> int:
    """Returns what shells expect of a program that the last signal has ended: 130, 143 or 129."""
    return 128 + (_received[-1] if _received else signal.SIGINT)


@contextmanager
def held_back() -> Iterator[None]:
    """Lets none come within; processes started here never see Ctrl-C, nor the end of a terminal.

    What came meanwhile comes afterwards. Their parent decides when such processes end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
