"""What the kernels take with each instruction set that this processor has.

python -m benchmarks.instruction_sets --out benchmarks/INSTRUCTION_SETS.md

Kernels are chosen once in a process, so each set has processes of its own, in turn. Most machines
have no AVX-512: what is fast with it alone is fast for few.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.progress import track

from benchmarks.machine import commit, processor
from benchmarks.report import put, table
from pcclust.ops._facts import native_facts

SETS = ("baseline", "avx2", "avx512", "avx512vnni", "avx512bf16")
# Prints the set and then, for each kernel, its name and the least milliseconds of several calls.
SCRIPT = """
import time, torch, pcclust
from pcclust.nn import EdgeConv
from pcclust.ops._facts import native_facts
torch.set_num_threads(1)
generator = torch.Generator().manual_seed(0)
points = torch.rand(32, 1024, 3, generator=generator)
features = torch.rand(4, 1024, 64, generator=generator)
rows = torch.rand(20000, 128, generator=generator)
edges = torch.randint(0, 1024, (4, 1024, 20), generator=generator)
edges = (edges + 1024 * torch.arange(4)[:, None, None]).flatten(0, 1)
kmeans = pcclust.KMeans(50, n_init=1, max_iter=10, tol=0, random_state=0)
layer = EdgeConv(64, 64, negative_slope=0.2).train()
def conv():
    layer(features.flatten(0, 1), edges, offsets=torch.arange(5) * 1024).sum().backward()
calls = {
    "knn, 32 × 1,024, k = 20": lambda: pcclust.knn(points, 20),
    "ball_query, r = 0.2": lambda: pcclust.ball_query(points, 0.2, 20),
    "rri, k = 20": lambda: pcclust.rri(points, 20),
    "farthest_point_sample, 128": lambda: pcclust.farthest_point_sample(points, 128),
    "ward_linkage, 4 × 1,024": lambda: pcclust.ward_linkage(points[:4]),
    "knn among 64 features": lambda: pcclust.knn(features, 20),
    "EdgeConv, a step": conv,
    "KMeans, 20,000 × 128": lambda: kmeans.fit(rows),
}
print(native_facts()["instruction_set"])
for name, call in calls.items():
    call()
    least = float("inf")
    for _ in range(5):
        begin = time.perf_counter()
        call()
        least = min(least, time.perf_counter() - begin)
    print(f"{name}|{1000 * least}")
"""


@dataclass(frozen=True)
class Settings:
    """What is measured.

    Attributes:
        rounds: how often each set has its turn; the least time of all counts.
        out: the page to write; printed if None.
    """

    rounds: int = 3
    out: Path | None = None


def main(settings: Settings) -> None:
    """Measures, and writes or prints the page."""
    facts = native_facts()
    if facts is None:
        raise SystemExit("there is no native library: pcclust info says why")
    best = facts["instruction_set"]
    names = SETS[: SETS.index(best) + 1] if best in SETS else (best,)
    times: dict[str, dict[str, float]] = {}
    for _ in track(range(settings.rounds), "rounds"):
        for name in names:
            used, found = measured(name)
            kept = times.setdefault(used, {})
            for call, taken in found.items():
                kept[call] = min(taken, kept.get(call, taken))
    put(page(times, settings.rounds), settings.out)


def measured(name: str) -> tuple[str, dict[str, float]]:
    """Returns the set that a process wishing for `name` got, and its milliseconds by kernel."""
    environment = os.environ | {"PCCLUST_ISA": name, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    used, *lines = done.stdout.splitlines()
    return used, {call: float(taken) for call, taken in (line.split("|") for line in lines)}


def page(times: dict[str, dict[str, float]], rounds: int) -> str:
    """Returns the page in Markdown.

    Args:
        times: milliseconds by set and kernel, the best set last.
        rounds: how often each set had its turn.
    """
    best = list(times.values())[-1]
    rows = [
        [
            call,
            *(
                f"{found[call]:.1f} ms ({found[call] / best[call]:.1f}×)"
                for found in times.values()
            ),
        ]
        for call in best
    ]
    parts = [
        "# With other instruction sets",
        f"Written by `python -m benchmarks.instruction_sets --rounds {rounds}`: one thread, the "
        "least time of all calls, and how many times as long that is as with the best set of this "
        "processor. All sets return the same bits of neighbours, samples and hierarchies.",
        table(("kernel", *times), rows),
        f"On {processor()}{commit()}.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
