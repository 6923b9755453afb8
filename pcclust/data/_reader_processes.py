"""A function applied to files in other processes, in order, whatever becomes of those processes."""

import multiprocessing
import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class _Told(NamedTuple, Generic[R]):
    """A result, and what its process warned of, which this one has to pass on."""

    result: R
    warned: list[Warning]


AHEAD = 4  # files in flight per process: enough to keep it busy, few enough to keep memory low


def map_in_processes(
    function: Callable[[T], R], items: Sequence[T], workers: int
) -> Generator[R | None, None, None]:
    """Applies a function to files (or what stands for them) ahead, in several processes.

    Args:
        function: picklable; what it raises is raised here, what it warns of is warned of here.
        items: the files.
        workers: how many processes, at least 1.

    Yields:
        The function's result for each file, in order, or None where the process that worked on it
        died (for want of memory, or of a fault in a library).
    """
    remaining = iter(items)
    flying: deque[tuple[T, Future[_Told[R]]]] = deque()
    executor = _start(workers)
    try:
        while True:
            for item in islice(remaining, AHEAD * workers - len(flying)):
                flying.append((item, _submit(executor, function, item)))
            if not flying:
                return
            item, future = flying.popleft()
            try:
                yield _passed_on(future.result())
            except BrokenProcessPool:
                # A file in flight killed its process; alone, each shows whether it was the one.
                suspects = [item, *(other for other, _ in flying)]
                flying.clear()
                yield from _one_by_one(function, suspects)
                executor = _start(workers)
    finally:
        executor.shutdown(cancel_futures=True)


def _start(workers: int) -> ProcessPoolExecutor:
    # Forking a process that runs torch's threads may deadlock; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, mp_context=context, initializer=_watch_parent)


def _watch_parent() -> None:
    """Runs first in each reader process."""
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Ends this process when its parent is gone, even killed, instead of waiting for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _submit(
    executor: ProcessPoolExecutor, function: Callable[[T], R], item: T
) -> "Future[_Told[R]]":
    with _interrupts_ignored():
        return executor.submit(_listened_to, function, item)


def _listened_to(function: Callable[[T], R], item: T) -> _Told[R]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        result = function(item)
    return _Told(result, [w.message for w in caught if isinstance(w.message, Warning)])


def _passed_on(told: _Told[R]) -> R:
    for warned in told.warned:
        warnings.warn(warned, stacklevel=3)
    return told.result


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Lets processes started here ignore Ctrl-C for good: their parent decides what ends."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _one_by_one(function: Callable[[T], R], items: Sequence[T]) -> Generator[R | None, None, None]:
    executor = _start(1)
    try:
        for item in items:
            try:
                yield _passed_on(_submit(executor, function, item).result())
            except BrokenProcessPool:
                executor = _start(1)
                yield None
    finally:
        executor.shutdown(cancel_futures=True)
