"""`make fuzz` and `make fuzz-long`: random work for every part, and a page of figures.

A part is a module with ``run(seed, amount) -> Figures``; whoever adds one adds a row to `PARTS`.
"""

import argparse
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch

from pcclust._version import __version__
from tests.fuzz import archives, cards, faults, files, kills, memory, operators, threads
from tests.fuzz.figures import Figures

PARTS: dict[str, Callable[[int, int], Figures]] = {
    "operators": operators.run,
    "threads": threads.run,
    "memory": memory.run,
    "files": files.run,
    "cards": cards.run,
    "archives": archives.run,
    "kills": kills.run,
    "faults": faults.run,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--amount", type=int, default=20_000, help="calls of the operators")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("out/fuzz.md"))
    parser.add_argument("parts", nargs="*", help=f"some of {', '.join(PARTS)}; all if none")
    arguments = parser.parse_args()
    lines = ["| part | tried | wrong | crashes | seconds | more |", "|---|---|---|---|---|---|"]
    wrong: list[str] = []
    tables: list[str] = []
    for name in arguments.parts or PARTS:
        started = time.monotonic()
        figures = PARTS[name](arguments.seed, arguments.amount)
        took = time.monotonic() - started
        lines.append(
            f"| {name} | {figures.tried} | {len(figures.wrong)} | {figures.crashes} "
            f"| {took:.0f} | {figures.more} |"
        )
        print(lines[-1], flush=True)
        wrong += [f"- {name}: {line}" for line in figures.wrong]
        tables += ["", *figures.table] if figures.table else []
    page = "\n".join([*_heading(arguments), *lines, *tables, "", *wrong[:100], ""])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page)
    print(page)
    return 1 if wrong else 0


def _heading(arguments: argparse.Namespace) -> list[str]:
    given = " ".join(["--amount", str(arguments.amount), "--seed", str(arguments.seed)])
    return [
        "# Faults",
        "",
        "Wrong is: an answer that differs from the reference, an exception that is not the one",
        "sentence, an output that is not whole, a run that does not go on to the same bits, a",
        "crash, a hang, or too much memory.",
        "",
        f"`python -m tests.fuzz {given} {' '.join(arguments.parts)}`, pcclust {__version__}, torch "
        f"{torch.__version__}, Python {platform.python_version()}, {time.strftime('%Y-%m-%d')}",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
