"""Turns what was measured into the page."""

import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.suite import OURS, Goal, Growth, Suite
from benchmarks.timing import FEWER_ROUNDS, Measured, Result
from pcclust._files import write_whole

MEMORY_GOAL = 3.0  # times the input, beside the output
MEMORY_NOTE = "*Our peak beside the output, in sizes of the input."


@dataclass
class Outcome:
    """What a suite gave.

    Attributes:
        suite: the suite.
        results: of its cases, in order.
        wrong: why cases have none.
        before: where the results are kept ones of other settings than the page's, those settings.
    """

    suite: Suite[Any]
    results: list[Result] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)


def write(
    outcomes: Mapping[str, Outcome],
    facts: Mapping[str, str],
    threads: int,
    rounds: int,
    out: Path | None,
) -> str:
    """Returns the page, and writes it with its plot where ``out`` is given."""
    single = [o for o in outcomes.values() if o.suite.growth is None]
    grown = [o for o in outcomes.values() if o.suite.growth is not None and o.results]
    drawn = [outcome for outcome in grown if len(outcome.results) > 1]
    picture = out.with_suffix(".png") if out is not None and drawn else None
    parts = [
        "# Benchmarks",
        opening(threads, rounds),
        *(["## In short", summary(single)] if single else []),
        *(["## Growth", growth_section(grown, picture)] if grown else []),
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

            draw(drawn, threads, picture)
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
    return f"{table(head, rows)}\n\n{MEMORY_NOTE} The goal is {MEMORY_GOAL:g}."


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
    parts = [f"### {outcome.suite.title}", measured_before(outcome), *outcome.wrong]
    for result in outcome.results:
        ours = result.measured.get(OURS)
        rows = [contestant_row(measured, ours) for measured in result.measured.values()]
        parts.append(f"**{named(result)}**\n\n" + table(head, rows))
    suite = outcome.suite
    parts.append(f"Compared: {suite.compared}, with those of {suite.reference}.")
    return "\n\n".join(part for part in parts if part)


def measured_before(outcome: Outcome) -> str:
    """Returns what was otherwise where results are from another run than the page, or nothing."""
    settings = "; ".join(f"{name}: {value}" for name, value in outcome.before.items())
    return f"These were measured before the rest of the page, with {settings}." if settings else ""


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


def growth_section(grown: Sequence[Outcome], picture: Path | None) -> str:
    """Returns the picture and, for each suite, the table of cost against size."""
    seen = [] if picture is None else [f"![time and memory against the size]({picture.name})"]
    return "\n\n".join([*seen, *map(growth_of, grown), MEMORY_NOTE])


def growth_of(outcome: Outcome) -> str:
    """Returns the table of a suite's times and peak memories against the size of its cases."""
    growth, results = outcome.suite.growth, outcome.results
    assert growth is not None  # its suite would not be here
    names = dict.fromkeys(name for result in results for name in result.measured)
    weighed = [n for n in names if any(peak(result, n) for result in results)]
    rows = [
        [f"{size(result, growth):,}"]
        + [duration(result.measured[n].median) if n in result.measured else "" for n in names]
        + [peak(result, n) for n in weighed]
        + [memory(result) if OURS in result.measured else ""]
        for result in results
    ]
    head = [growth.of, *names, *(f"{name}, peak MiB" for name in weighed), "memory*"]
    parts = [f"### {growth.title}", growth.note, measured_before(outcome), table(head, rows)]
    return "\n\n".join(part for part in [*parts, longest_growth(growth, results)] if part)


def longest_growth(growth: Growth, results: Sequence[Result]) -> str:
    """Returns how many times as long the second of the two sizes takes that have a goal."""
    sizes = {size(result, growth): result for result in results}
    if growth.most is None or not {*growth.most[:2]} <= sizes.keys():
        return ""
    first, last, goal = growth.most
    ratio = sizes[last].measured[OURS].median / sizes[first].measured[OURS].median
    return (
        f"From {first:,} to {last:,} {growth.of} pcclust takes **{ratio:.1f} times** as long; "
        f"the goal is at most {goal:g}."
    )


def size(result: Result, growth: Growth) -> int:
    """Returns how much of what grows a case has."""
    return result.input_bytes // growth.bytes_each


def peak(result: Result, name: str) -> str:
    """Returns a contestant's peak memory in MiB, or nothing where it is not known."""
    measured = result.measured.get(name)
    if measured is None or measured.peak_bytes is None:
        return ""
    return f"{measured.peak_bytes / 2**20:,.1f}"


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
