"""The part `memory`: whether the process grows over many calls, right and wrong, of all sizes."""

import json
import random
import resource
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.fuzz.figures import Figures

CALLS = 10_000  # of each operator, and files that are read
CALLS_OF_MODELS = 2_000
DIFFERENT = 50
MOST_GROWTH = 8.0  # MiB, which Python's own heap may take


class Grown(NamedTuple):
    """How much memory the process has before many calls, in MiB, and behind them."""

    calls: int
    before: float
    after: float


class Work(NamedTuple):
    """Different calls of one thing, to be made again and again, so many in all."""

    calls: int
    different: Sequence[Callable[[], object]]


def run(seed: int, amount: int) -> Figures:
    command = [sys.executable, "-m", "tests.fuzz.memory", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Figures(CALLS, [f"status {done.returncode}: {done.stderr[-300:]}"], 1)
    return judged({name: Grown(*grown) for name, grown in json.loads(done.stdout).items()})


def judged(found: dict[str, Grown]) -> Figures:
    wrong = [
        f"{name}: {grown.after - grown.before:.1f} MiB more after {grown.calls:,} calls"
        for name, grown in found.items()
        if grown.after - grown.before > MOST_GROWTH
    ]
    table = ["| memory | calls | MiB before | MiB after | more |", "|---|---|---|---|---|"]
    table += [
        f"| {name} | {calls:,} | {before:.1f} | {after:.1f} | {after - before:+.1f} |"
        for name, (calls, before, after) in found.items()
    ]
    tried = sum(grown.calls for grown in found.values())
    return Figures(tried, wrong, more="the process's size by call, below", table=table)


def grown_by(work: Work) -> Grown:
    """Makes calls: a tenth of them first, so that all that is kept for good is there."""
    sizes = []
    for rounds in (work.calls // 10, work.calls):
        for number in range(rounds):
            work.different[number % len(work.different)]()
        sizes.append(resident())
    return Grown(work.calls, *sizes)


def resident() -> float:
    """Returns the process's resident memory in MiB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def works(seed: int, folder: Path) -> Iterator[tuple[str, Work]]:
    from tests.fuzz.calls import OPERATORS

    for name in sorted(OPERATORS):
        yield name, Work(CALLS, calls_of(name, seed))
    yield "read_points", Work(CALLS, readings(seed, folder))
    yield "embed", Work(CALLS_OF_MODELS, embeddings(seed))
    yield "KMeans", Work(CALLS_OF_MODELS, clusterings(seed))


def calls_of(name: str, seed: int) -> list[Callable[[], object]]:
    """Returns calls of an operator, every other one wrong."""
    from tests.fuzz.calls import Draw, right_call, wrong_call
    from tests.fuzz.judge import outcome

    kinds = (right_call, wrong_call)
    return [partial(outcome, *kinds[n % 2](Draw(seed + n), name)) for n in range(DIFFERENT)]


def readings(seed: int, folder: Path) -> list[Callable[[], object]]:
    """Returns readings of files of every format, whole and damaged."""
    from tests.fuzz.files import changed, samples

    paths = []
    for number, (name, content) in enumerate(2 * samples()):
        draw = random.Random(seed + number)
        paths.append(folder / f"{number}-{name}")
        paths[-1].write_bytes(content if number < len(samples()) else changed(content, draw))
    return [partial(_read, path) for path in paths]


def _read(path: Path) -> Any:
    from pcclust.data import read_points

    try:
        return read_points(path)
    except (ValueError, ImportError):
        return None


def embeddings(seed: int) -> list[Callable[[], object]]:
    import torch

    import pcclust

    torch.manual_seed(seed)
    network = pcclust.nn.PointNet(embedding=16).eval()
    shapes = [torch.randn(1 + n % 3, 20 + n, 3) for n in range(DIFFERENT)]
    return [partial(pcclust.embed, network, some) for some in shapes]


def clusterings(seed: int) -> list[Callable[[], object]]:
    import torch

    import pcclust

    torch.manual_seed(seed)
    samples = [torch.randn(20 + 5 * n, 1 + n % 7) for n in range(DIFFERENT)]
    return [
        partial(pcclust.KMeans(2 + n % 5, random_state=n).fit, some)
        for n, some in enumerate(samples)
    ]


def main() -> None:
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        found = {name: grown_by(work) for name, work in works(int(sys.argv[1]), Path(folder))}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
