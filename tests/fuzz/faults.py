"""The part `faults`: full disks, flipped bits in checkpoints, places that cannot be written."""

import random
import resource
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pcclust.data.hdf5_room import HEADERS
from tests.fuzz.figures import Figures
from tests.fuzz.forked import Job, forked, jobs, write_shapes

CALLS_PER_FAULT = 200


def run(seed: int, amount: int) -> Figures:
    figures, draw = Figures(), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        write_shapes(Path(folder) / "shapes")
        all_jobs = jobs(Path(folder) / "shapes")
        count = max(1, amount // CALLS_PER_FAULT // (len(all_jobs) + 1))
        for job in all_jobs:
            _fill_disks(job, Path(folder), count, draw, figures)
        _flip_bits(all_jobs[-1], Path(folder), count, draw, figures)
    return figures


def _fill_disks(job: Job, folder: Path, count: int, draw: random.Random, figures: Figures) -> None:
    whole = folder / f"whole of {job.name}"
    whole.mkdir()
    forked(partial(job.run, whole))
    expected = (whole / job.result).read_bytes()
    largest = max(path.stat().st_size for path in whole.rglob("*") if path.is_file())
    if job.result.endswith(".h5"):
        largest += 2 * HEADERS  # it reserves more than it needs; some of the cases have that
    for number in range(count):
        place, limit = folder / f"{job.name}, full {number}", draw.randrange(largest)
        place.mkdir()
        figures.tried += 1
        ended = forked(partial(job.run, place), before=_limit(limit))
        figures.crashes += ended.status < 0
        said = _judged_full(job, place, ended.status, ended.said, expected)
        again = forked(partial(job.run, place))
        if again.status != 0 or (place / job.result).read_bytes() != expected:
            said = said or f"does not go on when there is room: {again.said[-300:]}"
        if said:
            figures.wrong.append(f"{job.name}, files of {limit:,} bytes at most: {said}")
    figures.more += f"{count} full disks of {job.name}; "


def _limit(size: int) -> Callable[[], object]:
    # Writing beyond it fails as on a full disk, file by file, with EFBIG for ENOSPC.
    limits = (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def _judged_full(job: Job, place: Path, status: int, said: str, expected: bytes) -> str:
    """Returns what is wrong with how a command ended without room."""
    result, last = place / job.result, said.strip().rpartition("\n")[2]
    if status == 0 and result.exists() and result.read_bytes() == expected:
        return ""
    if status not in (1, 2) or "Traceback" in said:
        return f"status {status}: {said[-300:]}"
    if str(place) not in last or len(last) > 600:
        return f"no sentence that names the place: {last[-300:]}"
    if result.exists() and job.name != "train" and result.read_bytes() != expected:
        return f"{result.name} is there and not whole"
    return ""


def _flip_bits(job: Job, folder: Path, count: int, draw: random.Random, figures: Figures) -> None:
    whole = folder / f"whole of {job.name}"
    weights, seconds = (whole / job.result).read_bytes(), 0.5
    for number in range(count):
        place = folder / f"{job.name}, bit {number}"
        checkpoint = place / "run" / "checkpoint.pt"
        while not checkpoint.exists():
            place.mkdir(exist_ok=True)
            forked(partial(job.run, place), kill_after=draw.uniform(0.5, 1) * seconds)
            seconds *= 1.5
        content = bytearray(checkpoint.read_bytes())
        at = draw.randrange(8 * len(content))
        content[at // 8] ^= 1 << at % 8
        checkpoint.write_bytes(content)
        figures.tried += 1
        ended = forked(partial(job.run, place))
        figures.crashes += ended.status < 0
        same = ended.status == 0 and (place / job.result).read_bytes() == weights
        refused = ended.status != 0 and "is damaged" in ended.said
        if not (same or refused) or "is damaged" not in ended.said:
            figures.wrong.append(f"bit {at} of a checkpoint: {ended.status} {ended.said[-300:]}")
    figures.more += f"{count} flipped bits of checkpoints"
