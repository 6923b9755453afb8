"""The part `files`: changed files of every format are read to finite points, or refused by name."""

import random
import resource
import tempfile
import time
from functools import cache
from pathlib import Path

import numpy as np

from pcclust.data import read_points
from tests.data.test_readers_damage import sample_files
from tests.fuzz.children import make_trials, run_children
from tests.fuzz.figures import Figures

CALLS_PER_FILE = 10
MEMORY = 2 << 30  # beyond what is there after the imports
SECONDS = 20.0
NUMBERS = (
    b"nan",
    b"-1",
    b"1e999",
    b"99999999999999999999",
    b"4294967295",
    b"0",
    b"\xff\xff\xff\xff",
)


def run(seed: int, amount: int) -> Figures:
    figures = run_children("tests.fuzz.files", seed, seed + amount // CALLS_PER_FILE)
    figures.more = f"{len(samples())} formats and variants"
    return figures


@cache
def samples() -> list[tuple[str, bytes]]:
    with tempfile.TemporaryDirectory() as folder:
        return [(path.name, path.read_bytes()) for path in sample_files(Path(folder))]


def changed(content: bytes, draw: random.Random) -> bytes:
    """Returns bytes with one to four changes, more of them where headers are."""
    data = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(max(1, len(data) if draw.random() < 0.5 else min(len(data), 200)))
        match draw.randrange(7):
            case 0:
                del data[at:]
            case 1 if data:
                data[at] ^= 1 << draw.randrange(8)
            case 2:
                data[at : at + 8] = draw.randbytes(8)
            case 3:
                data[at:at] = draw.randbytes(draw.randrange(1, 40))
            case 4:
                del data[at : at + draw.randrange(1, 40)]
            case 5:
                data[at:at] = data[at : at + draw.randrange(1, 400)]
            case _:
                number = draw.choice(NUMBERS)
                data[at : at + len(number)] = number
    return bytes(data)


def trial(number: int) -> str | None:
    draw = random.Random(number)
    name, content = draw.choice(samples())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(changed(content, draw))
        start = time.monotonic()
        wrong = _judged(path)
    seconds = time.monotonic() - start
    if wrong is None and seconds > SECONDS:
        wrong = f"takes {seconds:.0f} s"
    return wrong and f"{name}: {wrong}"


def _judged(path: Path) -> str | None:
    try:
        points = read_points(path)
    except (ValueError, ImportError) as error:
        return None if str(path) in str(error) else f"the file is not named: {error}"
    except Exception as error:  # whatever it is, it should not have come
        return f"{type(error).__name__}: {error}"
    fits = points.ndim == 2 and points.shape[1] == 3 and len(points) > 0
    return None if fits and np.isfinite(points).all() else f"gives {points.shape}, or NaN"


def _limit_memory() -> None:
    samples()
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    _limit_memory()
    make_trials(trial)
