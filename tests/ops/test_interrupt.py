"""Ctrl-C does not wait for a kernel."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pcclust
from pcclust.ops._registry import why_missing

# Each takes many seconds; what comes before is made ready first.
CALLS = {
    "knn": ("x = torch.rand(4_000_000, 3)", "pcclust.knn(x, 30)"),
    "knn of features": ("x = torch.rand(100_000, 64)", "pcclust.knn(x, 10)"),
    "knn of doubles": ("x = torch.rand(100_000, 64).double()", "pcclust.knn(x, 10)"),
    "NeighborIndex": ("x = pcclust.NeighborIndex(torch.rand(4_000_000, 3))", "x.knn(30)"),
    "ball_query": ("x = torch.rand(4_000_000, 3)", "pcclust.ball_query(x, 0.02, 30)"),
    "rri": ("x = torch.rand(4_000_000, 3)", "pcclust.rri(x, 30)"),
    "farthest_point_sample": (
        "x = torch.rand(100_000, 8)",
        "pcclust.farthest_point_sample(x, 50_000)",
    ),
    "ward_linkage": ("x = torch.rand(40_000, 12)", "pcclust.ward_linkage(x)"),
    "kmeans_assign": (
        "x = torch.rand(400_000, 64); c = torch.rand(20_000, 64); s = c[0].clone()",
        "kmeans_assign(x, c, s)",
    ),
    "kmeans_plusplus": (
        "x = torch.rand(400_000, 64); u = torch.rand(4_000, 8, dtype=torch.float64); "
        "z = torch.zeros(400_000, dtype=torch.int64); d = torch.ones(400_000); s = x[0].clone()",
        "call('kmeans_plusplus', x, None, s, u, 1, z, d)",
    ),
    "edge_reduce": (
        "x = torch.rand(60_000, 2, 512); n = torch.randint(0, 60_000, (60_000, 400)); "
        "start, size, sign = torch.tensor([0]), torch.tensor([60_000]), torch.ones(512)",
        "call('edge_reduce', x, n, start, size, sign, True)",
    ),
    "group_max": (
        "x = torch.rand(60_000, 20, 8); w, b, v = torch.rand(64, 8), torch.rand(64), "
        "torch.rand(2048, 64)",
        "call('group_max', x, w, b, v, 0.2)",
    ),
}
SCRIPT = """
import torch, pcclust
from pcclust.ops._registry import call
from pcclust.ops.kmeans_assign import kmeans_assign
import pcclust.ops.kmeans_plusplus, pcclust.ops.edge_reduce, pcclust.ops.group_max
def begin():
    torch.set_num_threads({threads})
    {ready}
    print("begun", flush=True)
    try:
        {call}
    except KeyboardInterrupt:
        print("stopped", flush=True)
        print(pcclust.knn(torch.eye(3), 1).indices.flatten().tolist())
begin()
"""


def processor_seconds(process: subprocess.Popen[str]) -> float:
    """Returns what a process has used so far of all processors: other work does not count."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="asks /proc for processor time")
@pytest.mark.parametrize(
    ("call", "threads"),
    [("knn", 2)] + [pytest.param(call, 1, marks=pytest.mark.slow) for call in CALLS],
)
def test_a_signal_stops_a_kernel(call: str, threads: int) -> None:
    if why_missing("cpu") is not None:
        pytest.skip("no native library")
    ready, run = CALLS[call]
    script = SCRIPT.format(ready=ready, call=run, threads=threads)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(pcclust.__file__).parents[1],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    before = processor_seconds(process)
    while process.poll() is None and processor_seconds(process) < before + 0.7:
        time.sleep(0.05)
    sent = processor_seconds(process)
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "stopped\n"
    took = processor_seconds(process) - sent
    assert process.stdout.readline() == "[0, 1, 2]\n"  # the next call is like any other
    assert process.wait() == 0
    assert took < 2
