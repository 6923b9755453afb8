"""Peak memory of one contestant, in a fresh process whose allocators hold nothing back."""

import ctypes
import gc
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing.context import BaseContext
from pathlib import Path

from benchmarks.suite import Suite

# Enough work to start every thread and fill every table that lasts, yet a small part of the real
# problem, so that little that the warm-up leaves behind could serve it.
WARM_UP_SCALE = 0.05


def peak_bytes(module: str, case: int, contestant: str, threads: int, scale: float) -> int | None:
    """Measures how far the resident memory of a contestant's work rises, its output included.

    Args:
        module: the module that holds the suite.
        case: position of the case in the suite.
        contestant: whose work it is.
        threads: as for the timing.
        scale: as for the timing.

    Returns:
        Bytes above what the process held with its input ready; None where that cannot be seen:
        without Linux's ``/proc``, or where the work is done in processes of its own.
    """
    if not Path("/proc/self/clear_refs").exists():
        return None
    with ProcessPoolExecutor(1, mp_context=_fresh_processes()) as process:
        return process.submit(_measure, module, case, contestant, threads, scale).result()


def _fresh_processes() -> BaseContext:
    """Returns processes forked from one that has imported torch and computed nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "pcclust"])
    return context


def _measure(module: str, case: int, contestant: str, threads: int, scale: float) -> int | None:
    suite: Suite[object] = import_module(module).SUITE
    prepare, make = suite.contestants[contestant], suite.cases[case].problem
    prepare(make(scale * WARM_UP_SCALE), threads).run()
    problem = make(scale)
    entry = prepare(problem, threads)
    if not entry.in_process:
        return None
    _give_back_free_memory()
    before = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    result = entry.run()
    peak = _status("VmHWM") - before
    del result
    return max(peak, 0)


def _give_back_free_memory() -> None:
    gc.collect()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {field}")
