import platform
import subprocess
import sys

import pytest

# In a process of its own: what a heap does depends on all that was allocated before.
SCRIPT = """
import resource, sys, torch
from pcclust.training.allocator import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
for step in range(8):
    if step == 4:  # the heap has grown by then
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(2**24).fill_(1.0)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(memory: str) -> int:
    command = [sys.executable, "-c", SCRIPT, memory]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_there_again():
    """Each page that comes from the system is a fault."""
    assert faults("kept") < faults("freed") / 8
