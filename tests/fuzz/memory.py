"""The part `memory`: whether the process grows over many calls of an operator, right and wrong."""

import json
import resource
import subprocess
import sys
import warnings
from pathlib import Path

from tests.fuzz.figures import Figures

CALLS = 10_000  # of each operator
DIFFERENT = 50
MOST_GROWTH = 8.0  # MiB, which Python's own heap may take


def run(seed: int, amount: int) -> Figures:
    command = [sys.executable, "-m", "tests.fuzz.memory", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Figures(CALLS, [f"status {done.returncode}: {done.stderr[-300:]}"], 1)
    sizes = {name: (before, after) for name, before, after in json.loads(done.stdout)}
    wrong = [
        f"{name}: {after - before:.1f} MiB more after {CALLS:,} calls"
        for name, (before, after) in sizes.items()
        if after - before > MOST_GROWTH
    ]
    each = ", ".join(f"{name} {size[0]:.1f} → {size[1]:.1f}" for name, size in sizes.items())
    return Figures(CALLS * len(sizes), wrong, more=f"MiB over {CALLS:,} calls: {each}")


def _resident() -> float:
    """Returns the process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def _grow(seed: int, name: str) -> tuple[float, float]:
    """Returns the memory before and after so many calls, which have all been made before."""
    from tests.fuzz.calls import Draw, right_call, wrong_call
    from tests.fuzz.judge import outcome

    kinds = (right_call, wrong_call)
    calls = [kinds[n % 2](Draw(seed + n), name) for n in range(DIFFERENT)]
    sizes = []
    for rounds in (CALLS // DIFFERENT // 10, CALLS // DIFFERENT):
        for _ in range(rounds):
            for call in calls:
                outcome(*call)
        sizes.append(_resident())
    return sizes[0], sizes[1]


def main() -> None:
    from tests.fuzz.calls import OPERATORS

    warnings.simplefilter("ignore")
    seed = int(sys.argv[1])
    print(json.dumps([(name, *_grow(seed, name)) for name in sorted(OPERATORS)]))


if __name__ == "__main__":
    main()
