"""Ctrl-C while a kernel runs: it stops within a tenth of a second instead of after its work.

Python runs the handlers of signals between two of its own instructions, and there are none while a
kernel runs. So kernels let it run them now and then, on the thread that called them. What a handler
raises is kept until the kernel has let go of all it holds.
"""

import atexit
import ctypes
from pathlib import Path

_PYTHON = (
    "PyGILState_Ensure",
    "PyGILState_Release",
    "PyErr_CheckSignals",
    "PyErr_Fetch",
    "PyErr_Restore",
)
_libraries: list[ctypes.PyDLL] = []


def watch(library: Path) -> None:
    """Makes the kernels of a native library look for signals."""
    native = ctypes.PyDLL(str(library))
    functions = [ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p) for name in _PYTHON]
    native.pcclust_watch_interrupts(*functions)
    # Nobody is asked when there is no Python any more.
    atexit.register(native.pcclust_watch_interrupts, *[ctypes.c_void_p(None)] * len(_PYTHON))
    _libraries.append(native)


def raise_pending() -> None:
    """Raises what a handler raised while the kernel of this thread ran, if anything."""
    for native in _libraries:
        native.pcclust_raise_interrupt()
