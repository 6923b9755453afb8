"""Times contestants in turn, after one warm-up each in which their answers are compared."""

import gc
import os
import time
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.suite import OURS, Answer, Case, Entry, Run, Suite, Unfit

# OpenMP threads of one library go on spinning for some milliseconds after their work; they must not
# take the cores from the next contestant.
REST_SECONDS = 0.02
# How often work is repeated, at most, once its warm-up took as many seconds.
FEWER_ROUNDS = {1.0: 3, 20.0: 1}


def limit_threads(threads: int) -> None:
    """Holds this process and its children to ``threads`` threads and as many cores.

    It must be called before NumPy, torch or a peer is imported: most read these settings once.
    The cores bind those that offer no setting (Open3D's).
    """
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ[f"{library}_NUM_THREADS"] = str(threads)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


@dataclass
class Measured:
    """What was measured of one contestant in one case.

    Attributes:
        name: the contestant.
        detail: what was chosen for it.
        seconds: the time of each round.
        difference: how far its answer is from the reference's; None where not compared.
        agrees: whether that is within the tolerance.
        peak_bytes: growth of the resident memory over the work, its output included.
    """

    name: str
    detail: str = ""
    seconds: list[float] = field(default_factory=list)
    difference: float | None = None
    agrees: bool = True
    peak_bytes: int | None = None

    @property
    def median(self) -> float:
        """The median time of a round, in seconds."""
        return median(self.seconds)


@dataclass
class Result:
    """The outcome of one case.

    Attributes:
        case: the case.
        label: its sizes.
        measured: those who took part, ours first.
        absent: those who did not, with the reason.
        input_bytes: the size of the problem.
        output_bytes: the size of our result.
    """

    case: Case[Any]
    label: str
    measured: dict[str, Measured] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    input_bytes: int = 0
    output_bytes: int = 0


def stopwatch(run: Run) -> tuple[float, Any]:
    """Returns the seconds that ``run`` takes and its result, whose release is not timed."""
    time.sleep(REST_SECONDS)
    gc.disable()
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    gc.enable()
    return seconds, result


def fastest(runs: dict[str, Run]) -> tuple[str, Run]:
    """Returns the name and the run of the fastest of several settings, the second time round."""
    if len(runs) == 1:
        return next(iter(runs.items()))
    for run in runs.values():
        run()
    name = min(runs, key=lambda name: stopwatch(runs[name])[0])
    return name, runs[name]


def race(suite: Suite[Any], case: Case[Any], threads: int, rounds: int, scale: float) -> Result:
    """Runs a case: prepares, warms up and compares all contestants, then times them in turn.

    Raises:
        ArithmeticError: pcclust's answer is not the reference's, so its time means nothing.
    """
    problem = case.problem(scale)
    result = Result(case, str(problem), input_bytes=total_bytes(problem))
    entries: dict[str, Entry] = {}
    answers: dict[str, Answer] = {}
    warm_seconds: dict[str, float] = {}
    for name, prepare in suite.contestants.items():
        try:
            entry = prepare(problem, threads)
            warm_seconds[name], output = stopwatch(entry.run)
            if entry.read is not None:
                answers[name] = entry.read(output)
        except Exception as error:  # whatever a peer raises must not end the whole run
            result.absent[name] = why_absent(name, error)
            continue
        entries[name], result.measured[name] = entry, Measured(name, entry.detail)
        if name == OURS:
            result.output_bytes = total_bytes(output)
        del output
    compare(suite, result, answers)
    for turn in range(rounds):
        for name, entry in entries.items():
            if turn < rounds_for(warm_seconds[name], rounds):
                result.measured[name].seconds.append(stopwatch(entry.run)[0])
    return result


def rounds_for(seconds: float, rounds: int) -> int:
    """Returns how often work that takes so long is repeated."""
    return min([rounds, *(few for limit, few in FEWER_ROUNDS.items() if seconds > limit)])


def why_absent(name: str, error: Exception) -> str:
    """Returns why a contestant takes no part; a failure of ours is raised again."""
    if isinstance(error, (ImportError, Unfit)) or _is_missing_operation(error):
        return str(error)
    if name == OURS:
        raise error
    return f"failed: {type(error).__name__}: {error}"


def _is_missing_operation(error: Exception) -> bool:
    module = getattr(error, "obj", None) if isinstance(error, AttributeError) else None
    return getattr(module, "__name__", "").startswith("pcclust")


def compare(suite: Suite[Any], result: Result, answers: dict[str, Answer]) -> None:
    """Notes how far each answer is from the reference, and refuses a wrong one of ours."""
    others = [name for name in answers if name != OURS]
    if not others:
        return
    reference = suite.reference if suite.reference in answers else others[0]
    for name, answer in answers.items():
        measured = result.measured[name]
        measured.difference = suite.difference(answer, answers[reference])
        measured.agrees = measured.difference <= suite.tolerance
    if OURS in answers and not result.measured[OURS].agrees:
        raise ArithmeticError(
            f"{suite.title}, {result.label}: {suite.compared} of pcclust differ from those of "
            f"{reference} by {result.measured[OURS].difference:.2g}; not timed"
        )


def total_bytes(value: Any) -> int:  # noqa: ANN401
    """Returns the bytes of all tensors and arrays in nested tuples, lists and dictionaries."""
    if isinstance(value, dict):
        return sum(map(total_bytes, value.values()))
    if isinstance(value, (tuple, list)):
        return sum(map(total_bytes, value))
    return int(getattr(value, "nbytes", 0))
