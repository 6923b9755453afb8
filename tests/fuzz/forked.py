"""Commands in forked children, which begin at once: pcclust is imported already."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pcclust.cli.data
import pcclust.cli.rri
from pcclust.cli.main import main
from pcclust.training import RunFolder, fit
from tests.training.tiny_method import TinyMethod

SHAPES = 70  # more than one block of `prepare`
LONGEST = 120.0  # seconds, then it hangs


class Ended(NamedTuple):
    """How a child ended: its status, negative by a signal, what it said, and after how long."""

    status: int
    said: str
    seconds: float


class Job(NamedTuple):
    """A command, the output that it has when it is complete, and the folder it works in."""

    name: str
    run: Callable[[Path], None]
    result: str


def write_shapes(folder: Path) -> None:
    folder.mkdir()
    for number in range(SHAPES):
        points = np.random.default_rng(number).normal(size=(12, 3))
        np.savetxt(folder / f"{number:03d}.xyz", points)


def jobs(shapes: Path) -> list[Job]:
    def rri(out: str, *more: str) -> Callable[[Path], None]:
        pcclust.cli.rri.POINTS_PER_BATCH = 200
        given = ["rri", str(shapes), "--k", "4", "--workers", "0", "--resume", *more]
        return lambda folder: main([*given, "--out", str(folder / out)])

    def prepare(folder: Path) -> None:
        given = ["data", "prepare", str(shapes), "--num-points", "12", "--workers", "0", "--resume"]
        main([*given, "--out", str(folder / "p.h5")])

    def train(folder: Path) -> None:
        method = TinyMethod(epochs=3, seed=3, checkpoint_minutes=0)
        fit(method, RunFolder(folder / "run"), resume=True)

    return [
        Job("rri npz", rri("f.npz"), "f.npz"),
        Job("rri h5", rri("f.h5"), "f.h5"),
        Job("rri ply", rri("f", "--format", "ply"), "f/000.ply"),
        Job("prepare", prepare, "p.h5"),
        Job("train", train, "run/weights.safetensors"),
    ]


def forked(
    work: Callable[[], None], *, kill_after: float | None = None, before: Callable[[], object] = int
) -> Ended:
    """Runs something in a child; see `Ended`."""
    reading, writing = os.pipe()
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _become(work, writing, before)
    os.close(writing)
    os.set_blocking(reading, False)
    status, said = _watched(child, reading, start, kill_after)
    os.close(reading)
    return Ended(status, said.decode(errors="replace"), time.monotonic() - start)


def _become(work: Callable[[], None], writing: int, before: Callable[[], object]) -> None:
    status = 1
    try:
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")  # pytest has its own
        before()
        work()
        status = 0
    except SystemExit as error:
        status = int(error.code or 0)
    except BaseException as error:  # as the interpreter would, but without its cleaning up
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _watched(child: int, reading: int, start: float, kill_after: float | None) -> tuple[int, bytes]:
    said = b""
    while True:
        ended, how = os.waitpid(child, os.WNOHANG)
        said += _read(reading)
        if ended:
            return os.waitstatus_to_exitcode(how), said + _read(reading)
        passed = time.monotonic() - start
        if passed > (LONGEST if kill_after is None else kill_after):
            os.kill(child, signal.SIGKILL)
        time.sleep(0.002)


def _read(pipe: int) -> bytes:
    try:
        return os.read(pipe, 1 << 20)
    except BlockingIOError:
        return b""
