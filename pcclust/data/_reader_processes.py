"""A function applied to files in other processes, in order, whatever becomes of those processes."""

import multiprocessing
import os
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from pcclust import _signals

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
        _end(executor)


def _start(workers: int) -> ProcessPoolExecutor:
    # Forking a process that runs torch's threads may deadlock; a spawned one starts clean.
    context = multiprocessing.get_context("spawn")
    with _signals.held_back():
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_watch_parent)


def _end(executor: ProcessPoolExecutor) -> None:
    """Ends the processes at once: nobody asks for what they do, and they hold nothing."""
    # Python has a way of its own, kill_workers, from 3.14 on.
    processes = list((executor._processes or {}).values())
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        process.kill()
    executor.shutdown(wait=True)


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
    with _signals.held_back():
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
        _end(executor)
