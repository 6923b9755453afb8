"""k-means in the processes of torchrun, which may die at any moment."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pcclust.distributed.cluster_job import cluster_folder
from pcclust.distributed.group import Alone
from pcclust.distributed.kmeans import Settings
from pcclust.training.checkpoint import CHECKPOINT
from tests.distributed.test_cluster_job import contents
from tests.distributed.test_kmeans import blobs
from tests.distributed.test_rows import write_shards

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}
KILLS = 5  # of each seed


def torchrun(processes, *arguments, restarts=0, program=("-m", "pcclust", "cluster")):
    """Returns the command; the address is that of this machine, whatever a resolver calls it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--local-addr=127.0.0.1", f"--nproc-per-node={processes}"]
    command += [f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    return [*command, *map(str, [*program, *arguments])]


def workers(agent):
    """Returns the processes that torchrun started."""
    found = []
    with suppress(FileNotFoundError):  # whoever ends meanwhile is none
        for child in Path(f"/proc/{agent}/task/{agent}/children").read_text().split():
            if b"cluster" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_write_the_files_of_one(tmp_path, count):
    shards = write_shards(tmp_path / "shards", [700, 0, 2300], blobs(3000, width=6))
    cluster_folder(str(shards), tmp_path / "one", Settings(5), Alone())
    command = torchrun(
        count, shards, "--clusters", 5, "--out", tmp_path / "many", "--device", "cpu"
    )
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("5 clusters of 3,000 features in") == 1
    assert contents(tmp_path / "many") == contents(tmp_path / "one")


@pytest.mark.slow
def test_what_one_process_refuses_is_told_once(tmp_path):
    rows = blobs(3000, width=6)
    rows[2900, 0] = np.nan
    shards = write_shards(tmp_path / "shards", [700, 2300], rows)
    command = torchrun(2, shards, "--clusters", 5, "--out", tmp_path / "two", "--device", "cpu")
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode != 0
    assert done.stderr.count("shard-00001-of-00002.parquet: row 2,200 holds NaN, inf") == 1


def stamp(file):
    """Returns when a file was written; None where there is none."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def killed_at_random(agent, out, draw):
    """Kills a worker, the coordinator, or it and all workers; returns what, or nothing if late."""
    changes, seen = draw.randrange(9), stamp(out / CHECKPOINT)
    while agent.poll() is None and (changes or not workers(agent.pid)):
        now = stamp(out / CHECKPOINT)
        changes, seen = changes - (changes > 0 and now != seen), now
        time.sleep(0.01)
    time.sleep(draw.uniform(0, 0.3 if seen else 4))
    what = draw.choice(["worker", "worker", "coordinator", "machine"])
    alive = workers(agent.pid) if agent.poll() is None else []
    if not alive:
        return None
    victims = {"worker": [draw.choice(alive)], "coordinator": [agent.pid]}
    for victim in victims.get(what, [agent.pid, *alive]):
        with suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
    return what


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_whoever_is_killed_the_files_are_the_same(tmp_path, seed):
    rows = blobs(20_000, width=16, clusters=60)
    shards = write_shards(tmp_path / "shards", [4000, 0, 6000, 10_000], rows)
    cluster_folder(str(shards), tmp_path / "one", Settings(40), Alone())
    draw, killed, out = random.Random(seed), [], tmp_path / "two"
    slow = [Path(__file__).with_name("slow_cluster.py"), "cluster"]
    given = [shards, "--clusters", 40, "--out", out, "--device", "cpu"]
    done = False
    while len(killed) < KILLS or not done:
        if done:  # too soon: it begins anew
            assert contents(out) == contents(tmp_path / "one")
            shutil.rmtree(out)
        command = torchrun(2, *given, restarts=20, program=slow)
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as agent:
            while agent.poll() is None and len(killed) < KILLS:
                what = killed_at_random(agent, out, draw)
                killed += [what] if what else []
        done = agent.returncode == 0
    print(f"seed {seed}: killed {killed}")
    assert contents(out) == contents(tmp_path / "one")
