"""Numbered trials in a child, which may end or hang at any of them: the next goes on behind it."""

import os
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.figures import Figures

SECONDS_WITHOUT_NEWS = 120


def run_children(module: str, begin: int, end: int) -> Figures:
    """Makes the trials of a module, ``python -m MODULE JOURNAL BEGIN END``; see `make_trials`."""
    figures = Figures(tried=end - begin)
    with tempfile.TemporaryDirectory() as folder:
        journal = Path(folder) / "journal"
        while begin < end:
            journal.write_text(str(begin))
            begin = _run_child(module, journal, begin, end, figures)
    return figures


def make_trials(trial: Callable[[int], str | None]) -> None:
    """Makes those that the command line names, and prints what is wrong with any."""
    journal, begin, end = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    with journal.open("r+") as last:
        for number in range(begin, end):
            last.seek(0)
            last.write(str(number))
            last.flush()
            wrong = trial(number)
            if wrong:
                print(f"{number}: {wrong}".replace("\n", " ")[:500], flush=True)


def _run_child(module: str, journal: Path, begin: int, end: int, figures: Figures) -> int:
    """Returns the number of the first trial that is still to be made."""
    command = [sys.executable, "-m", module, str(journal), str(begin), str(end)]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=said, env=os.environ) as child:
            status = _await(child, journal)
        said.seek(0)
        figures.wrong += said.read().splitlines()
    if status == 0:
        return end
    last = int(journal.read_text())
    figures.wrong.append(f"{last} ends the process with status {status}")
    figures.crashes += 1
    return last + 1


def _await(child: subprocess.Popen[bytes], journal: Path) -> int | str:
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
