"""What a benchmark is: cases, and contestants who solve each of them.

To add a peer, write a function ``(problem, threads) -> Entry`` and name it in its suite. To add a
case, add a line to the suite's cases.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

OURS = "pcclust"
Run = Callable[[], Any]
Answer = NDArray[np.floating[Any]]
Problem_co = TypeVar("Problem_co", covariant=True)
Problem = TypeVar("Problem")


class Entry(NamedTuple):
    """One contestant, ready to start: its data are converted, nothing is computed.

    Attributes:
        run: does the timed work and returns whatever the contestant returns.
        read: turns that into numbers that all contestants of a suite share; None where there is
            nothing to compare.
        detail: what was chosen for this contestant, e.g. its fastest setting.
        in_process: whether the work happens in this process, so that its memory can be seen.
    """

    run: Run
    read: Callable[[Any], Answer] | None = None
    detail: str = ""
    in_process: bool = True


class Prepare(Protocol[Problem]):  # type: ignore[misc]
    """Converts a problem into a contestant's preferred layout, outside the timing."""

    def __call__(self, problem: Problem, threads: int, /) -> Entry:
        """Returns the contestant, ready to start."""


class Unfit(Exception):  # noqa: N818
    """A contestant cannot take part in a case; the message says why."""


@dataclass(frozen=True)
class Goal:
    """How many times faster than a peer pcclust must be.

    Attributes:
        at_least: the least ratio of the peer's time to ours.
        aim: the ratio we hope for.
        against: the peer; the fastest one with the same answers if None.
    """

    at_least: float
    aim: float | None = None
    against: str | None = None


@dataclass(frozen=True)
class Case(Generic[Problem]):
    """One problem to solve.

    Attributes:
        problem: makes it, with the numbers of points multiplied by a scale (1 for the real thing);
            ``str(problem)`` names its sizes.
        goal: what pcclust must reach.
        note: what the sizes do not say.
    """

    problem: Callable[[float], Problem]
    goal: Goal | None = None
    note: str = ""


def largest_difference(answer: Answer, reference: Answer) -> float:
    """Returns the largest difference of two answers, relative to the largest entry."""
    if answer.shape != reference.shape:
        return float("inf")
    scale = max(float(np.abs(reference).max()), np.finfo(np.float64).tiny)
    return float(np.abs(answer - reference).max()) / scale


def usual_difference(answer: Answer, reference: Answer) -> float:
    """Returns the 99th percentile of the differences.

    For answers in which a tie, decided by rounding, legitimately changes a few entries.
    """
    if answer.shape != reference.shape:
        return float("inf")
    return float(np.quantile(np.abs(answer - reference), 0.99))


@dataclass(frozen=True)
class Growth:
    """What the table and the picture of a suite say whose cases are one problem at many sizes.

    Attributes:
        title: the work, in words.
        of: what there is more and more of.
        bytes_each: how many bytes of the input each of them is.
        yardstick: what the picture shows beside the peak memory: the output or the input alone.
        most: two sizes, and how many times as long the second may take.
        note: what the title does not say.
    """

    title: str
    of: str
    bytes_each: int
    yardstick: Literal["output", "input"] = "output"
    most: tuple[int, int, float] | None = None
    note: str = ""


@dataclass(frozen=True)
class Suite(Generic[Problem]):
    """The cases of one operation and all who solve them.

    Attributes:
        title: heading in the report.
        compared: what of the answers is compared, in words.
        cases: the problems.
        contestants: how each takes part; ours is called ``pcclust``.
        reference: the contestant whose answers the others are compared with.
        difference: how far an answer is from the reference.
        tolerance: the largest difference that still counts as the same answer.
        patience: seconds; whoever takes longer sits out the suite's later cases.
        weigh_peers: whether the peak memory of peers is measured, too, and not only ours.
        growth: for cases that are one problem at many sizes.
    """

    title: str
    compared: str
    cases: tuple[Case[Problem], ...]
    contestants: Mapping[str, Prepare[Problem]]
    reference: str
    difference: Callable[[Answer, Answer], float] = largest_difference
    tolerance: float = 1e-4
    patience: float = float("inf")
    weigh_peers: bool = False
    growth: Growth | None = None


def scaled(size: int, scale: float, at_least: int = 64) -> int:
    """Returns ``size`` times ``scale``, but not fewer points than a case needs to make sense."""
    return max(at_least, round(size * scale))
