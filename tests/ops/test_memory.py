"""No operator keeps memory of its calls, right ones and wrong ones, of all sizes."""

import ctypes
import gc

import pytest

from pcclust.ops._registry import why_missing
from tests.fuzz.calls import OPERATORS
from tests.fuzz.memory import calls_of


class Heap(ctypes.Structure):
    """What glibc says of its heap (mallinfo2)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in ("arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks")
    ] + [(name, ctypes.c_size_t) for name in ("uordblks", "fordblks", "keepcost")]


def used() -> int:
    """Returns how many bytes are allocated, whatever the process has of the system."""
    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = Heap
    gc.collect()
    heap = ask()
    return int(heap.uordblks + heap.hblkhd)


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="asks glibc for its heap")
@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_an_operator_keeps_no_memory(name: str) -> None:
    if why_missing("cpu") is not None:
        pytest.skip("no native library")
    calls = calls_of(name, 0)[:12]
    for call in calls:  # what is kept for good, such as a thread's scratch memory, is there then
        call()
    before = used()
    for _ in range(2):
        for call in calls:
            call()
    assert used() < before + 2**16  # which the interpreter may take
