"""The part `memory`: whether the process grows over many calls, right ones and wrong ones."""

import random
import resource
import subprocess
import sys
import warnings

from tests.fuzz.figures import Figures

CALLS = 10_000
MOST_GROWTH = 16.0  # MiB, which Python's own heap may take


def run(seed: int, amount: int) -> Figures:
    command = [sys.executable, "-m", "tests.fuzz.memory", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Figures(CALLS, [f"status {done.returncode}: {done.stderr[-300:]}"], 1)
    growth = float(done.stdout)
    wrong = [f"{growth:.1f} MiB more after {CALLS} calls"] if growth > MOST_GROWTH else []
    return Figures(CALLS, wrong, more=f"{growth:.1f} MiB more after {CALLS} calls")


def _grow(seed: int) -> float:
    """Returns by how many MiB the process's peak grows over the calls, after a tenth as warm-up."""
    from tests.fuzz.calls import right_call, wrong_call
    from tests.fuzz.judge import outcome

    warnings.simplefilter("ignore")
    peaks = []
    for begin, end in ((0, CALLS // 10), (0, CALLS)):
        for number in range(begin, end):
            # The same calls over and over: whatever they hold, they have held before.
            draw = random.Random(seed + number % (CALLS // 10))
            outcome(*(wrong_call if number % 2 else right_call)(draw))
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return peaks[1] - peaks[0]


if __name__ == "__main__":
    print(_grow(int(sys.argv[1])))
