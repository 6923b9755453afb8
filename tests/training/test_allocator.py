import platform
import resource

import pytest
import torch

from pcclust.training.allocator import keep_freed_memory


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")
def test_memory_that_was_freed_is_there_again():
    """Pages that come back from the system are faults; 64 MiB have 16,384 of them."""
    assert keep_freed_memory()
    for _ in range(3):  # until the heap has grown
        torch.empty(2**24).fill_(1.0)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        torch.empty(2**24).fill_(1.0)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 2000
