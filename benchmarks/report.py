"""Turns what was measured into the page."""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks import growth
from benchmarks.suite import OURS, Goal, Suite
from benchmarks.timing import FEWER_ROUNDS, Measured, Result
from pcclust._files import write_whole

MEMORY_GOAL = 3.0  # times the input, beside the output


@dataclass
class Outcome:
    """What a suite gave: its results, and why cases have none."""

    suite: Suite[Any]
    results: list[Result] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


def write(
    outcomes: Mapping[str, Outcome],
    facts: Mapping[str, str],
    threads: int,
    rounds: int,
    out: Path | None,
) -> str:
    """Returns the page, and writes it with its plot where ``out`` is given."""
    grown = outcomes["growth"].results if "growth" in outcomes else []
    picture = out.with_suffix(".png") if out is not None and len(grown) > 1 else None
    parts = [
        "# Benchmarks",
        opening(threads, rounds),
        "## In short",
        summary(o for name, o in outcomes.items() if name != "growth"),
        *([] if not grown else ["## Growth", growth_section(grown, picture)]),
        "## Everybody",
        *(details(outcome) for outcome in outcomes.values()),
        "## Left out",
        left_out(outcomes.values()),
        "## Machine",
        table(("what", "here"), facts.items()),
    ]
    page = "\n\n".join(part for part in parts if part) + "\n"
    if out is not None:
        if picture is not None:
            from benchmarks.plot import draw  # matplotlib is one of the extras

            draw(grown, threads, picture)
        write_whole(out, page.encode())
    return page


def opening(threads: int, rounds: int) -> str:
    """Returns how the numbers came about."""
    command = shlex.join(["python", "-m", "benchmarks.run", *sys.argv[1:]])
    fewer = "".join(
        f", of {few} where that took more than {limit:g} s" for limit, few in FEWER_ROUNDS.items()
    )
    return f"""Written by `{command}` on {date.today()}; `make bench` does the same.

- All contestants of a case run in one process, in turn: ours, each peer, ours again, …
- A time is the median of {rounds} rounds after one warm-up{fewer}.
- Everybody has {threads} threads, and the process is held to {threads} cores.
- Everybody gets the same clouds, in the layout and precision it prefers, converted beforehand.
  Building trees is part of the time.
- Peers with one thread have the clouds shared out among {threads} threads, or among {threads}
  processes that hold the clouds already where the peer keeps Python's lock.
- Where a peer has settings, each case takes the fastest; it is named in brackets.
- Answers are compared before the timing. A wrong one of ours is not timed. Peers with other
  answers are marked † and not compared with.
- Peak memory is the growth of the resident memory over the work in a fresh process, output
  included, to about 0.3 MiB."""


def put(page: str, out: Path | None) -> None:
    """Writes a page whole, or prints it where ``out`` is None."""
    if out is None:
        print(page)
    else:
        write_whole(out, page.encode())


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table, its first column to the left and the others to the right."""
    ruler = ["---"] + ["---:"] * (len(head) - 1)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, ruler, *rows))


def summary(outcomes: Iterable[Outcome]) -> str:
    """Returns the table of goals: pcclust against the peer that counts, case by case."""
    head = ("work", "pcclust", "against", "its time", "times as fast", "goal", "reached", "memory*")
    rows = [
        summary_row(outcome.suite, result)
        for outcome in outcomes
        for result in outcome.results
        if OURS in result.measured
    ]
    if not rows:
        return "pcclust solved none of the cases."
    note = f"\n\n*Peak beside the output, in sizes of the input; the goal is {MEMORY_GOAL:g}."
    return table(head, rows) + note


def summary_row(suite: Suite[Any], result: Result) -> Sequence[str]:
    """Returns a case's row of the table of goals."""
    ours, goal = result.measured[OURS], result.case.goal
    work = f"{suite.title}: {named(result)}"
    peer = opponent(result)
    if peer is None:
        return (
            work,
            duration(ours.median),
            "nobody",
            "",
            "",
            *goal_cells(goal, None),
            memory(result),
        )
    ratio = peer.median / ours.median
    return (
        work,
        duration(ours.median),
        titled(peer),
        duration(peer.median),
        f"**{ratio:.2f}×**",
        *goal_cells(goal, ratio),
        memory(result),
    )


def opponent(result: Result) -> Measured | None:
    """Returns whom pcclust is measured against: the goal's peer, or the fastest that agrees."""
    goal = result.case.goal
    if goal is not None and goal.against is not None:
        return result.measured.get(goal.against)
    peers = [m for name, m in result.measured.items() if name != OURS and m.agrees]
    return min(peers, key=lambda measured: measured.median, default=None)


def goal_cells(goal: Goal | None, ratio: float | None) -> tuple[str, str]:
    """Returns the goal and whether it is reached."""
    if goal is None:
        return "", ""
    wanted = f"≥ {goal.at_least:.2g}×" + (f", aim {goal.aim:.2g}×" if goal.aim else "")
    if ratio is None:
        return wanted, ""
    if goal.aim is not None and ratio >= goal.aim:
        return wanted, "aim"
    return wanted, "yes" if ratio >= goal.at_least else "**no**"


def memory(result: Result) -> str:
    """Returns our peak beside the output, in sizes of the input."""
    peak = result.measured[OURS].peak_bytes
    if peak is None:
        return "–"
    return f"{max(0, peak - result.output_bytes) / result.input_bytes:.1f}"


def details(outcome: Outcome) -> str:
    """Returns the table of all contestants of a suite."""
    head = ("contestant", "median", "fastest", "slowest", "times ours", "peak MiB", "difference")
    parts = [f"### {outcome.suite.title}", *outcome.wrong]
    for result in outcome.results:
        ours = result.measured.get(OURS)
        rows = [contestant_row(measured, ours) for measured in result.measured.values()]
        parts.append(f"**{named(result)}**\n\n" + table(head, rows))
    suite = outcome.suite
    parts.append(f"Compared: {suite.compared}, with those of {suite.reference}.")
    return "\n\n".join(parts)


def contestant_row(measured: Measured, ours: Measured | None) -> Sequence[str]:
    """Returns a contestant's row of a case."""
    return (
        titled(measured) + ("" if measured.agrees else " †"),
        duration(measured.median),
        duration(min(measured.seconds)),
        duration(max(measured.seconds)),
        "" if ours is None else f"{measured.median / ours.median:.2f}",
        "–" if measured.peak_bytes is None else f"{measured.peak_bytes / 2**20:,.1f}",
        "" if measured.difference is None else f"{measured.difference:.1e}",
    )


def growth_section(results: Sequence[Result], picture: Path | None) -> str:
    """Returns the table of times against N, with the picture and the growth from 1 to 8 million."""
    names = dict.fromkeys(name for result in results for name in result.measured)
    rows = [
        [f"{growth.points(result):,}"]
        + [duration(result.measured[n].median) if n in result.measured else "" for n in names]
        + [memory(result) if OURS in result.measured else ""]
        for result in results
    ]
    parts = [table(["points", *names, "memory*"], rows)]
    if picture is not None:
        parts.insert(0, f"![time and memory against the number of points]({picture.name})")
    first, last = (
        next((r for r in results if growth.points(r) == n), None) for n in growth.MILLIONS
    )
    if first is not None and last is not None:
        ratio = last.measured[OURS].median / first.measured[OURS].median
        parts.append(
            f"From {growth.points(first):,} to {growth.points(last):,} points pcclust takes "
            f"**{ratio:.1f} times** as long; the goal is at most {growth.MOST_GROWTH:g}."
        )
    return "\n\n".join(parts)


def left_out(outcomes: Iterable[Outcome]) -> str:
    """Returns who did not take part, where, and why."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for outcome in outcomes:
        absences = [(r, absent) for r in outcome.results for absent in r.absent.items()]
        for absent in dict.fromkeys(absent for _, absent in absences):
            cases = [named(result) for result, each in absences if each == absent]
            everywhere = len(cases) == len(outcome.results)
            where = outcome.suite.title + ("" if everywhere else f" ({'; '.join(cases)})")
            reasons.setdefault(absent, []).append(where)
    lines = [f"- **{who}**: {why}. In {', '.join(w)}." for (who, why), w in reasons.items()]
    return "\n".join(lines) or "Nobody."


def named(result: Result) -> str:
    """Returns a case's sizes and note."""
    return result.label + (f" ({result.case.note})" if result.case.note else "")


def titled(measured: Measured) -> str:
    """Returns a contestant's name and what was chosen for it."""
    return measured.name + (f" ({measured.detail})" if measured.detail else "")


def duration(seconds: float) -> str:
    """Returns a time with three digits."""
    if seconds >= 1:
        return f"{seconds:.3g} s"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} µs"
