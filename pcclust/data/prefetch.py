"""Work done ahead by threads, delivered in order."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Job = TypeVar("Job")
Result = TypeVar("Result")


def prefetched(
    jobs: Iterable[Job], work: Callable[[Job], Result], workers: int
) -> Iterator[Result]:
    """Yields the result of each job, in order, while threads prepare the next ones.

    Args:
        jobs: what is to be done.
        work: does it; called in threads, unless there are none.
        workers: threads; 0 does each job when its result is asked for.

    Example:
        >>> list(prefetched(range(3), lambda job: job**2, workers=2))
        [0, 1, 4]
    """
    if workers == 0:
        yield from map(work, jobs)
        return
    with ThreadPoolExecutor(workers, "pcclust-loader") as pool:
        ahead: deque[Future[Result]] = deque()
        try:
            for job in jobs:
                ahead.append(pool.submit(work, job))
                if len(ahead) > 2 * workers:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
