"""k-means in the processes of torchrun, which may die at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pcclust.distributed.cluster_job import cluster_folder
from pcclust.distributed.group import Alone
from pcclust.distributed.kmeans import Settings
from tests.distributed.test_cluster_job import contents
from tests.distributed.test_kmeans import blobs
from tests.distributed.test_rows import write_shards

ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def torchrun(processes, *arguments, restarts=0):
    """Returns the command; the address is that of this machine, whatever a resolver calls it."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--local-addr=127.0.0.1", f"--nproc-per-node={processes}"]
    command += [f"--max-restarts={restarts}", "--monitor-interval=0.1"]
    return [*command, "-m", "pcclust", "cluster", *map(str, arguments)]


def workers(agent):
    """Returns the processes that torchrun started."""
    children = Path(f"/proc/{agent}/task/{agent}/children").read_text().split()
    return [
        int(child)
        for child in children
        if b"cluster" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]


def test_two_processes_write_the_files_of_one(tmp_path):
    shards = write_shards(tmp_path / "shards", [700, 0, 2300], blobs(3000, width=6))
    cluster_folder(str(shards), tmp_path / "one", Settings(5), Alone())
    command = torchrun(2, shards, "--clusters", 5, "--out", tmp_path / "two", "--device", "cpu")
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("5 clusters of 3,000 features in") == 1
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.slow
def test_what_one_process_refuses_is_told_once(tmp_path):
    rows = blobs(3000, width=6)
    rows[2900, 0] = np.nan
    shards = write_shards(tmp_path / "shards", [700, 2300], rows)
    command = torchrun(2, shards, "--clusters", 5, "--out", tmp_path / "two", "--device", "cpu")
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode != 0
    assert done.stderr.count("shard-00001-of-00002.parquet: row 2,200 holds NaN, inf") == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_workers_that_are_killed_end_with_the_same_files(tmp_path, seed):
    rows = blobs(40_000, width=32, clusters=60)
    shards = write_shards(tmp_path / "shards", [9000, 0, 11_000, 20_000], rows)
    cluster_folder(str(shards), tmp_path / "one", Settings(40), Alone())
    generator, killed = random.Random(seed), []
    command = torchrun(
        2, shards, "--clusters", 40, "--out", tmp_path / "two", "--device", "cpu", restarts=20
    )
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=ENVIRONMENT) as process:
        while process.poll() is None:
            time.sleep(generator.uniform(0.5, 6))
            alive = [pid for pid in workers(process.pid) if pid not in killed]
            if alive and len(killed) < 5 and process.poll() is None:
                killed.append(generator.choice(alive))
                os.kill(killed[-1], signal.SIGKILL)
    assert process.returncode == 0
    assert killed
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
