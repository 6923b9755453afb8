"""The part `kills`: commands killed at random moments and continued, to the bits of a whole run."""

import random
import tempfile
from functools import partial
from pathlib import Path

from tests.fuzz.figures import Figures
from tests.fuzz.forked import Job, forked, jobs, write_shapes

CALLS_PER_KILL = 200  # so many calls of operators are as much work


def run(seed: int, amount: int) -> Figures:
    figures, draw = Figures(), random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        write_shapes(Path(folder) / "shapes")
        all_jobs = jobs(Path(folder) / "shapes")
        for job in all_jobs:
            _kill(
                job, Path(folder), max(1, amount // CALLS_PER_KILL // len(all_jobs)), draw, figures
            )
    return figures


def _kill(job: Job, folder: Path, kills: int, draw: random.Random, figures: Figures) -> None:
    whole = folder / f"whole of {job.name}"
    whole.mkdir()
    ended = forked(partial(job.run, whole))
    if ended.status != 0:
        figures.wrong.append(f"{job.name}: status {ended.status}: {ended.said[-200:]}")
        return
    expected = (whole / job.result).read_bytes()
    left, rounds = kills, 0
    while left:
        place = folder / f"{job.name}, {rounds}"
        place.mkdir()
        rounds += 1
        left = _until_complete(job, place, expected, left, ended.seconds, draw, figures)
    figures.more += f"{kills} of {job.name} in {rounds} runs; "


def _until_complete(
    job: Job,
    place: Path,
    expected: bytes,
    left: int,
    seconds: float,
    draw: random.Random,
    figures: Figures,
) -> int:
    """Kills until none are left or the command was quicker; returns how many are left."""
    result = place / job.result
    while left:
        ended = forked(partial(job.run, place), kill_after=draw.uniform(0, seconds))
        left -= 1
        figures.tried += 1
        if ended.status not in (0, -9):
            figures.wrong.append(f"{job.name}: status {ended.status}: {ended.said[-200:]}")
        early = result.exists() and job.name != "train" and result.read_bytes() != expected
        if early:
            figures.wrong.append(f"{job.name}: {result.name} is there and not whole after a kill")
        if ended.status == 0:
            break
    ended = forked(partial(job.run, place))
    if ended.status != 0 or result.read_bytes() != expected:
        figures.wrong.append(f"{job.name}: not the same when continued: {ended.said[-200:]}")
    return left
