"""k-means of shards beside `pcclust.KMeans` and scikit-learn: time, inertia and memory.

``python -m benchmarks.scale_kmeans fits``, ``processes`` or ``memory`` measures, and keeps what it
finds in ``scale_kmeans.json``, which is part of docs/scale.md.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import clouds
from benchmarks.machine import processor
from pcclust._files import write_whole
from pcclust.cluster import KMeans
from pcclust.distributed.group import Alone, Group, joined_group
from pcclust.distributed.kmeans import Settings, kmeans
from pcclust.distributed.rows import ArrayRows
from pcclust.distributed.shard_file import ShardAbout, encode_shard
from pcclust.distributed.shards import shard_name
from pcclust.distributed.share import Share
from pcclust.distributed.store import Store

KEPT = Path(__file__).with_suffix(".json")
ROWS, WIDTH, K, SEEDS = 100_000, 64, 100, 8
SHARED_WIDTH, ROUNDS, REPEATS = 256, 20, 3  # of what two processes share
MANY_ROWS, MANY_WIDTH, MANY_K, SHARDS = 5_000_000, 256, 50, 40


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures one thing, and keeps it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["fits", "processes", "memory", "share"])
    what = parser.parse_args(arguments).what
    if what == "share":  # what `processes` starts
        share()
        return
    known = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    known[what] = {"fits": fits, "processes": processes, "memory": memory}[what]()
    known[what]["processor"] = processor()
    write_whole(KEPT, json.dumps(known, indent=1).encode() + b"\n")
    print(json.dumps(known[what], indent=1))


def fits() -> dict[str, Any]:
    """Compares whole fits, each of one thread, in processor time."""
    if os.environ.get("OMP_NUM_THREADS") != "1":
        raise SystemExit("one thread each: set OMP_NUM_THREADS=1")
    halves = clouds.features(ROWS, WIDTH).half().numpy()
    sizes = {"rows": ROWS, "width": WIDTH, "clusters": K}
    return {**sizes, "seeds": [_fits(halves, seed) for seed in range(SEEDS)]}


def _fits(halves: NDArray[Any], seed: int) -> dict[str, Any]:
    from sklearn.cluster import KMeans as Known

    rows = halves.astype(np.float32)
    ours, seconds = _timed(lambda: _fit(halves, Alone(), Settings(K, seed=seed)))
    today, todays = _timed(lambda: KMeans(K, random_state=seed).fit(rows))
    known, others = _timed(lambda: Known(K, random_state=seed, n_init=1).fit(rows))
    return {
        "speed": todays / seconds,
        "scikit-learn": others / seconds,
        "inertia": ours.inertia / known.inertia_ - 1,
        "iterations": [ours.iterations, today.n_iter_, known.n_iter_],
    }


def processes() -> dict[str, Any]:
    """Compares two processes of one thread with one process of two threads."""
    one = _share([sys.executable], threads=2)
    launch = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1"]
    two = _share([sys.executable, *launch, "--nproc-per-node=2"], threads=1)
    sizes = {"rows": ROWS, "width": SHARED_WIDTH, "clusters": K, "iterations": ROUNDS}
    return {**sizes, "one process, two threads": one, "two processes": two}


def share() -> None:
    """Clusters with other processes, once each has its rows; the first prints the seconds."""
    rows = clouds.features(ROWS, SHARED_WIDTH).half().numpy()
    seconds = []
    with joined_group("cpu") as group:
        for seed in range(REPEATS):
            group.texts("")  # all are here
            begin = time.perf_counter()
            _fit(rows, group, Settings(K, seed=seed, max_iter=ROUNDS, tol=0.0))
            seconds.append(time.perf_counter() - begin)
        if group.first:
            print(json.dumps(seconds))


def memory() -> dict[str, Any]:
    """Measures how much memory the command takes for rows that exceed it."""
    with tempfile.TemporaryDirectory() as folder:
        for shard in range(SHARDS):
            Store(f"{folder}/shards").publish(shard_name(shard, SHARDS), _shard(shard))
        command = ["-m", "pcclust", "cluster", f"{folder}/shards", "--clusters", str(MANY_K)]
        command += ["--out", f"{folder}/out", "--device", "cpu"]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        with subprocess.Popen([sys.executable, *command], env=environment) as process:
            peak = _peak(process)
        result = json.loads(Path(folder, "out", "clusters.json").read_text())
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "rows": MANY_ROWS,
        "width": MANY_WIDTH,
        "clusters": MANY_K,
        "iterations": result["iterations"],
        "data": MANY_ROWS * MANY_WIDTH * 2,
        "peak": peak,
        "seconds": used.ru_utime + used.ru_stime,
    }


def _peak(process: "subprocess.Popen[bytes]") -> int:
    """Returns the largest resident memory of a process, in bytes, when it has ended."""
    peak = 0
    # What is known of a child that has ended counts the memory of its parent, too.
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                peak = int(line.split()[1]) * 1024
        time.sleep(0.05)
    return peak


def _fit(rows: NDArray[Any], group: Group, settings: Settings) -> Any:  # noqa: ANN401
    return kmeans(Share(ArrayRows(rows), group, lambda count: None), settings)


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    begin = time.process_time()
    result = work()
    return result, time.process_time() - begin


def _share(python: list[str], threads: int) -> float:
    """Returns the median seconds of the processes that a command starts."""
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [*python, "-m", "benchmarks.scale_kmeans", "share"],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds: list[float] = json.loads(done.stdout)
    return median(seconds)


def _shard(shard: int) -> bytes:
    """Returns a shard of float16 rows in noisy groups."""
    middles = np.random.default_rng(0).normal(size=(MANY_K, MANY_WIDTH)).astype(np.float32)
    rng, count = np.random.default_rng((1, shard)), MANY_ROWS // SHARDS
    rows = rng.standard_normal((count, MANY_WIDTH), dtype=np.float32)
    rows += middles[rng.integers(MANY_K, size=count)]
    about = ShardAbout(kind="embed", model="", plan="", shard=shard, shards=SHARDS)
    names = [f"shapes/{shard * count + row:08d}.off" for row in range(count)]
    columns = {"name": names, "label": [-1] * count, "size": [1024] * count}
    return encode_shard({**columns, "features": rows.astype(np.float16)}, about)


if __name__ == "__main__":
    main()
