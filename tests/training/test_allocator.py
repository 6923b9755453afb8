import os
import platform
import subprocess
import sys

import pytest

from pcclust.evaluate.precision import _cpu_has_bfloat16
from pcclust.training import RunFolder, fit
from pcclust.training.allocator import limit_kernel_caches
from tests.training.tiny_method import TinyMethod

# In a process of its own: what a heap does depends on all that was allocated before.
FAULTS = """
import resource, sys, torch
from pcclust.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for step in range(20):
    if step == 16:  # the heap has grown by then, which takes a few steps where it is in pieces
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(2**24).fill_(1.0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""

KERNELS = """
import sys, torch
from pathlib import Path
from pcclust.training.allocator import limit_kernel_caches
if sys.argv[1] == "limited":
    limit_kernel_caches()
layer = torch.nn.Linear(64, 64).bfloat16()
points = torch.rand(2000, 64).bfloat16()
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1])
with torch.no_grad():
    layer(points)
    before = resident()
    for size in range(100, 900):
        layer(points[:size])
print(resident() - before)
"""


def printed(script: str, argument: str) -> int:
    command = [sys.executable, "-c", script, argument]
    environment = {n: v for n, v in os.environ.items() if not n.endswith("CACHE_CAPACITY")}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_there_again():
    """Each page that comes from the system is a fault."""
    assert printed(FAULTS, "kept") < printed(FAULTS, "freed") / 8


@pytest.mark.skipif(
    sys.platform != "linux" or not _cpu_has_bfloat16(),
    reason="reads /proc; without instructions for bfloat16 oneDNN keeps more than these kernels",
)
def test_kernels_of_sizes_that_do_not_come_again_are_forgotten():
    """In pages, of 800 sizes."""
    assert printed(KERNELS, "limited") < 0.7 * printed(KERNELS, "unlimited")


def test_what_the_environment_says_comes_first(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    limit_kernel_caches()
    assert os.environ["LRU_CACHE_CAPACITY"] == "7"
    assert os.environ.pop("ONEDNN_PRIMITIVE_CACHE_CAPACITY") == "256"


def test_fit_leaves_the_process_as_it_finds_it(tmp_path, monkeypatch):
    def forbidden(*_):
        raise AssertionError("the allocator was changed")

    monkeypatch.setattr("pcclust.training.allocator.ctypes.CDLL", forbidden)
    monkeypatch.delenv("LRU_CACHE_CAPACITY", raising=False)
    fit(TinyMethod(epochs=1), RunFolder(tmp_path / "run"))
    assert "LRU_CACHE_CAPACITY" not in os.environ
