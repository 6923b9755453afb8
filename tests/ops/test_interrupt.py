"""Ctrl-C does not wait for a kernel."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pcclust.ops._registry import why_missing

# Each takes many seconds; what it prints before it starts is awaited.
CALLS = {
    "knn": "pcclust.knn(torch.rand(4_000_000, 3), 30)",
    "knn of features": "pcclust.knn(torch.rand(100_000, 64), 10)",
    "farthest_point_sample": "pcclust.farthest_point_sample(torch.rand(100_000, 8), 50_000)",
    "ward_linkage": "pcclust.ward_linkage(torch.rand(40_000, 12))",
}
SCRIPT = """
import torch, pcclust
def begin():
    torch.set_num_threads({threads})
    print("begun", flush=True)
    try:
        {call}
    except KeyboardInterrupt:
        print("stopped", flush=True)
        print(pcclust.knn(torch.eye(3), 1).indices.flatten().tolist())
begin()
"""


@pytest.mark.parametrize(
    ("call", "threads"),
    [("knn", 2)] + [pytest.param(call, 1, marks=pytest.mark.slow) for call in CALLS],
)
def test_a_signal_stops_a_kernel(call: str, threads: int) -> None:
    if why_missing("cpu") is not None:
        pytest.skip("no native library")
    script = SCRIPT.replace("{call}", CALLS[call]).replace("{threads}", str(threads))
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    time.sleep(0.7)
    process.send_signal(signal.SIGINT)
    sent = time.monotonic()
    assert process.stdout.readline() == "stopped\n"
    took = time.monotonic() - sent
    assert process.stdout.readline() == "[0, 1, 2]\n"  # the next call is like any other
    assert process.wait() == 0
    assert took < 2
