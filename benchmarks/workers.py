"""Two threads for peers that have only one: their clouds are shared out, outside the timing."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from benchmarks.suite import Run

Work = Callable[[Any], Any]


def one_by_one(work: Work, clouds: Iterable[Any]) -> Run:
    """Returns a run that calls ``work`` on each cloud in turn."""
    return lambda: [work(cloud) for cloud in clouds]


def in_threads(
    work: Work, clouds: Iterable[Any], threads: int, start: Callable[[], object] = lambda: None
) -> Run:
    """Returns a run that shares the clouds among threads, for work that releases Python's lock.

    Args:
        work: called with one cloud.
        clouds: what is shared out.
        threads: how many threads; they are started before the run.
        start: called once in each thread.
    """
    pool = ThreadPoolExecutor(threads, initializer=start)
    list(pool.map(lambda _: None, range(threads)))
    return lambda: list(pool.map(work, clouds))


def in_processes(work: Work, clouds: Sequence[Any], processes: int) -> Run:
    """Returns a run that shares the clouds among processes, for work that keeps Python's lock.

    The processes are started and hold the clouds before the run, which sends them one short message
    each and receives the results.

    Args:
        work: called with one cloud; a module's function, or a ``partial`` of one.
        clouds: what is shared out.
        processes: how many processes.
    """
    pool = ProcessPoolExecutor(
        processes, mp_context=get_context("spawn"), initializer=_hold, initargs=(work, clouds)
    )
    shares = [range(first, len(clouds), processes) for first in range(processes)]
    run = partial(_gather, pool, shares)
    run()
    return run


_held: tuple[Work, Sequence[Any]] | None = None


def _hold(work: Work, clouds: Sequence[Any]) -> None:
    global _held
    _held = work, clouds


def _solve(share: range) -> list[Any]:
    assert _held is not None
    work, clouds = _held
    return [work(clouds[i]) for i in share]


def _gather(pool: ProcessPoolExecutor, shares: list[range]) -> list[Any]:
    results: list[Any] = [None] * sum(map(len, shares))
    for share, part in zip(shares, pool.map(_solve, shares), strict=True):
        results[share.start :: share.step] = part
    return results
