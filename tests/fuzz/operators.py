"""The part `operators`: right and wrong calls of all operators, native against torch.

Calls run in a child that writes the number of each before it makes it, so that one that ends the
process, or never ends, is found and the work goes on behind it.
"""

import random
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from tests.fuzz.figures import Figures

SECONDS_WITHOUT_NEWS = 120
RIGHT_SHARE = 4  # every fourth call is a right one


def run(seed: int, amount: int) -> Figures:
    figures = Figures()
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        next_call, end = seed, seed + amount
        while next_call < end:
            journal.write_text(str(next_call))
            next_call = _run_child(journal, next_call, end, figures)
    figures.tried = amount
    figures.more = f"every {RIGHT_SHARE}th a right call"
    return figures


def _run_child(journal: Path, begin: int, end: int, figures: Figures) -> int:
    """Makes calls in a child; returns the number of the first that is still to be made."""
    command = [sys.executable, "-m", "tests.fuzz.operators", str(journal), str(begin), str(end)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        status = _await(child, journal)
        found = child.stdout.read().splitlines() if child.stdout else []
    figures.wrong += [line for line in found if line.startswith("call ")]
    if status == 0:
        return end
    last = int(journal.read_text())
    figures.wrong.append(f"call {last} ends the process with status {status}")
    figures.crashes += 1
    return last + 1


def _await(child: subprocess.Popen[str], journal: Path) -> int | str:
    before = ""
    while True:
        try:
            return child.wait(SECONDS_WITHOUT_NEWS)
        except subprocess.TimeoutExpired:
            now = journal.read_text()
            if now == before:
                child.kill()
                child.wait()
                return "hangs"
            before = now


def _make_calls(journal: Path, begin: int, end: int) -> None:
    from tests.fuzz.calls import right_call, wrong_call
    from tests.fuzz.judge import judge, outcome

    warnings.simplefilter("ignore")
    with journal.open("r+") as last:
        for number in range(begin, end):
            last.seek(0)
            last.write(str(number))
            last.flush()
            right = number % RIGHT_SHARE == 0
            call = (right_call if right else wrong_call)(random.Random(number))
            wrong = judge(call)
            if wrong is None and right and isinstance(outcome(*call), Exception):
                wrong = "a right call is refused"
            if wrong is not None:
                print(f"call {number}, {call[0]}: {wrong}".replace("\n", " "), flush=True)


if __name__ == "__main__":
    _make_calls(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
