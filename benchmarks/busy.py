"""What `pcclust embed` takes on a machine that does other work, too.

python -m benchmarks.busy --loops 2 --out benchmarks/BUSY.md

The whole command describes the furniture of data/ by the encoder that comes with pcclust, alone and
beside processes that do nothing but count, in turn. As many loops as cores leave a process half of
the machine at best, where all have the same priority: twice the time, if waiting costs nothing.
"""

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import tyro
from rich.progress import track

from benchmarks.machine import commit, processor
from benchmarks.report import put, table
from pcclust.nn.weights_source import DEFAULT

DATA = Path(__file__).parent.parent / "data/furniture.h5"


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        loops: processes that keep the cores busy.
        rounds: how often the command runs alone, and beside them.
        out: the page to write; printed if None.
    """

    loops: int = 2
    rounds: int = 3
    out: Path | None = None


def main(settings: Settings) -> None:
    """Measures, and writes or prints the page."""
    alone, beside = [], []
    for _ in track(range(settings.rounds), "rounds"):
        alone.append(seconds())
        with busy(settings.loops):
            beside.append(seconds())
    put(page(median(alone), median(beside), settings), settings.out)


@contextmanager
def busy(loops: int) -> Iterator[None]:
    """Keeps so many cores busy."""
    processes = [multiprocessing.Process(target=count, daemon=True) for _ in range(loops)]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.join()


def count() -> None:
    """Never ends."""
    while True:
        pass


def seconds() -> float:
    """Returns what the command takes, from its start to its end."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pcclust", "embed", str(DATA), "--weights", DEFAULT]
        command += ["--out", f"{folder}/features.h5"]
        begin = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - begin


def page(alone: float, beside: float, settings: Settings) -> str:
    """Returns the page in Markdown; times are in seconds."""
    loops, cores = settings.loops, os.cpu_count() or 1
    row = [f"{alone:.1f} s", f"{beside:.1f} s", f"{beside / alone:.2f}×", f"{1 + loops / cores:g}×"]
    parts = [
        "# On a busy machine",
        f"Written by `python -m benchmarks.busy --loops {loops} --rounds {settings.rounds}`: the "
        "command `pcclust embed data/furniture.h5` with the encoder that comes with pcclust, its "
        f"start included, alone and beside {loops} processes that only count, in turn; medians "
        f"of {settings.rounds}.",
        table(("alone", f"beside {loops} loops", "times as long", "with an equal share"), [row]),
        f"On {processor()}, {cores} cores{commit()}.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
