"""What the command does before all else: Ctrl-C ends it silently while its libraries load.

They take a second or more, and come with the package, before any function of the command runs.
And threads that wait for others are to sleep instead of spinning, which OpenMP asks the environment
about as it is loaded: on a machine that does other work, too, spinning takes the cores from those
that are waited for.
"""

import os
import signal
import sys
from itertools import pairwise
from pathlib import Path


def _is_command() -> bool:
    """Returns whether this process is ``pcclust …`` or ``python -m pcclust …``."""
    name = getattr(sys, "argv", [""])[0]
    as_module = name == "-m" and ("-m", "pcclust") in pairwise(sys.orig_argv)
    return as_module or Path(name).name == "pcclust"


if _is_command():
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Whoever imports the package keeps their own handlers. By the default of the system Ctrl-C ends
# a process without a word, which shells show as 130; `main` sets handlers of its own later.
if _is_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
