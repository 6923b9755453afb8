"""One process, several, and several that are killed: the same bytes."""

import multiprocessing
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from pcclust.distributed.describers import EmbedDescriber
from pcclust.distributed.job import Job
from pcclust.distributed.shard_maker import ShardMaker
from pcclust.distributed.shards import ShardFolder
from pcclust.distributed.sources import Sources
from pcclust.distributed.work import take_all
from pcclust.nn.weights import read_card
from tests.distributed.jobs import contents, write_shapes, write_weights

KILLS = 20
fork = multiprocessing.get_context("fork")


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Returns a function from a folder to a job of 19 shapes in 10 shards."""
    monkeypatch.chdir(tmp_path)
    weights = write_weights(tmp_path)
    write_shapes(tmp_path / "shapes")
    describer = EmbedDescriber(
        weights=str(weights),
        weights_sha256=read_card(weights)["sha256"],
        num_points=24,
        points=False,
        seed=0,
        precision="float32",
        batch_size=2,
        dtype="float32",
        device=None,
    )
    sources = Sources(paths=("shapes/*",), split=None, labelled=True)
    return lambda out: Job(out=out, sources=sources, describer=describer, cut="100")


def work(job, pause):
    """Makes what is to be made, slowly enough that it can be killed at any point."""
    torch.set_num_threads(1)
    maker = ShardMaker(job)
    take_all(maker, range(maker.manifest.shards), lambda count: time.sleep(pause))


def started(job, pause=0.0):
    process = fork.Process(target=work, args=(job, pause))
    process.start()
    return process


def joined(processes):
    for process in processes:
        process.join()
        assert process.exitcode == 0


@pytest.mark.parametrize("count", [2, 4])
def test_processes_side_by_side_make_the_bytes_of_one(tmp_path, job, count):
    joined([started(job("one"))])
    joined([started(job("many"), 0.02) for _ in range(count)])
    joined([started(job("many"))])  # of which the last may have left what others were at
    assert contents(tmp_path / "many") == contents(tmp_path / "one")
    assert len(contents(tmp_path / "one")) == 10
    assert len(ShardFolder("many")) == 17


def test_workers_that_are_killed_cost_no_byte(tmp_path, job):
    """Two workers, one of which is killed now and then, whatever it is doing."""
    joined([started(job("one"))])
    whole, draw = contents(tmp_path / "one"), random.Random(0)
    workers = [started(job("killed"), 0.05) for _ in range(2)]
    killed = 0
    while killed < KILLS:
        time.sleep(draw.uniform(0.02, 0.15))
        at = draw.randrange(2)
        workers[at].kill()
        workers[at].join()
        assert workers[at].exitcode in (0, -signal.SIGKILL)  # it may have had nothing to do
        killed += workers[at].exitcode != 0
        there = list((tmp_path / "killed").glob("shard-*"))
        for file in there:  # what is there is whole, always
            assert file.read_bytes() == whole[file.name]
        if len(there) > 6:  # and there is always something to do
            draw.choice(there).unlink()
        workers[at] = started(job("killed"), 0.05)
    joined(workers)
    joined([started(job("killed"))])
    assert contents(tmp_path / "killed") == whole


@pytest.mark.slow
def test_commands_that_are_killed_cost_no_byte(tmp_path, job):
    """The same with `pcclust embed` itself: as it starts, or after some shards."""
    weights = job("x").describer.weights
    given = ["shapes/*", "--weights", weights, "--batch-size", "2", "--shards", "100"]
    command = [sys.executable, "-m", "pcclust", "embed", *given, "--out"]
    subprocess.run([*command, "one"], check=False)
    whole, draw, killed = contents(tmp_path / "one"), random.Random(0), 0
    folder = tmp_path / "killed"
    while killed < KILLS:
        before, more = len(contents(folder)), draw.randrange(3)
        with subprocess.Popen([*command, "killed"]) as worker:
            while len(list(folder.glob("shard-*"))) < before + more and worker.poll() is None:
                time.sleep(0.001)
            time.sleep(draw.uniform(0, 0.02) if more else draw.uniform(0, 3))
            worker.kill()
        killed += worker.returncode == -signal.SIGKILL
        there = contents(folder)
        assert there.items() <= whole.items()
        for name in draw.sample(sorted(there), max(0, len(there) - 5)):
            (folder / name).unlink()  # so that there is always something to do
    subprocess.run([*command, "killed"], check=False)
    assert contents(folder) == whole
