"""Times pcclust and its peers on the same work, in turn.

python -m benchmarks.run                                  everything, about half an hour
python -m benchmarks.run --only knn ward --rounds 15      some of it
python -m benchmarks.run --out benchmarks/RESULTS.md      and writes the page
python -m benchmarks.run --parts out/bench                and goes on where such a run ended
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import tyro
from rich.console import Console
from rich.markdown import Markdown
from rich.progress import Progress

from benchmarks.timing import limit_threads

if TYPE_CHECKING:
    from benchmarks.parts import Parts
    from benchmarks.report import Outcome
    from benchmarks.timing import Result

SuiteName = Literal[
    "knn",
    "ball_query",
    "knn_features",
    "farthest_point",
    "rri",
    "ward",
    "kmeans",
    "edge_conv",
    "inference",
    "training",
    "pretraining",
    "growth",
    "kmeans_growth",
]
NAMES: tuple[SuiteName, ...] = get_args(SuiteName)


@dataclass(frozen=True)
class Settings:
    """How to run the benchmarks.

    Attributes:
        only: the suites to run.
        rounds: how often each contestant repeats short work.
        threads: for everybody; the process is held to as many cores.
        out: the page to write, a Markdown file; a plot goes beside it.
        scale: multiplies the points of every cloud, for a quick trial.
        memory: whether to measure peak memory too, in processes of their own.
        parts: a folder that keeps what is measured, case by case. Cases in it are not measured
            again, and suites in it come onto the page though ``only`` leaves them out; where those
            are from another commit or of other settings, the page says so.
    """

    only: tuple[SuiteName, ...] = NAMES
    rounds: int = 7
    threads: int = 2
    out: Path | None = None
    scale: float = 1.0
    memory: bool = True
    parts: Path | None = None


def main() -> int:
    """Runs what the command line asks for; returns 1 where an answer of ours was wrong."""
    settings = tyro.cli(Settings, description=__doc__)
    limit_threads(settings.threads)
    from benchmarks import machine, report  # they import torch, which reads the limits above
    from benchmarks.parts import Parts

    facts = machine.facts(settings.threads)
    same = {name: fact for name, fact in facts.items() if not name.startswith("load")}
    same |= {name: getattr(settings, name) for name in ("rounds", "threads", "scale", "memory")}
    kept = Parts(settings.parts, same)
    shown = [name for name in NAMES if name in settings.only or kept.holds(name)]
    outcomes = {
        name: kept.read(
            name, import_module(f"benchmarks.{name}").SUITE, whatever=name not in settings.only
        )
        for name in shown
    }
    page = ""
    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        for name in settings.only:
            run_suite(name, outcomes[name], settings, progress, kept)
            # After every suite, so that an interrupted run leaves what it has measured.
            some: dict[str, Outcome] = {
                name: outcome
                for name, outcome in outcomes.items()
                if outcome.results or outcome.wrong
            }
            page = report.write(some, facts, settings.threads, settings.rounds, settings.out)
    Console().print(Markdown(page))
    return int(any(outcome.wrong for outcome in outcomes.values()))


def run_suite(
    name: SuiteName, outcome: "Outcome", settings: Settings, progress: Progress, kept: "Parts"
) -> None:
    """Runs the cases of a suite that its outcome lacks, and adds them to it."""
    from benchmarks.timing import race

    suite, tired = outcome.suite, dict[str, str]()
    for result in outcome.results:
        tired |= too_slow(result, suite.patience)
    cases = list(enumerate(suite.cases))[len(outcome.results) :]
    for position, case in progress.track(cases, total=len(cases), description=suite.title):
        fresh = {n: c for n, c in suite.contestants.items() if n not in tired}
        smaller = replace(suite, contestants=fresh)
        try:
            result = race(smaller, case, settings.threads, settings.rounds, settings.scale)
        except ArithmeticError as wrong:
            outcome.wrong.append(f"**WRONG: {wrong}**")
            continue
        result.absent.update(tired)
        if settings.memory:
            measure_memory(name, position, result, settings)
        outcome.results.append(result)
        kept.write(name, outcome)
        medians = {n: f"{m.median * 1e3:.2f} ms" for n, m in result.measured.items()}
        progress.console.print(f"{suite.title}, {result.label}: {medians}")
        tired |= too_slow(result, suite.patience)


def measure_memory(name: str, case: int, result: "Result", settings: Settings) -> None:
    """Adds the peak memory of our own work on a case, and of the peers' where the suite asks."""
    from benchmarks.memory import peak_bytes

    module = f"benchmarks.{name}"
    everybody = import_module(module).SUITE.weigh_peers
    for contestant, measured in result.measured.items():
        if everybody or contestant.startswith("pcclust"):
            measured.peak_bytes = peak_bytes(
                module, case, contestant, settings.threads, settings.scale
            )


def too_slow(result: "Result", patience: float) -> Mapping[str, str]:
    """Returns who sits out the next cases, and why."""
    return {
        name: f"took {measured.median:.0f} s for {result.label}"
        for name, measured in result.measured.items()
        if measured.median > patience
    }


if __name__ == "__main__":
    sys.exit(main())
