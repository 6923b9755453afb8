"""The emulator itself: it runs correct kernels right, and finds every planted fault."""

import pytest
import torch

from tests.cuda.emulation import EmulationError, emulate

pytestmark = pytest.mark.emulated

# A kernel of faults_emulated.cpp, the flavours that must find its fault, and what they say.
FAULTS = [
    ("missing_barrier", "races", r"data race|uninitialised shared memory"),
    ("shared_race", "races", r"data race: thread \d+ of block 0 writes"),
    ("race_between_blocks", "races", r"data race: thread 0 of block \d"),
    ("read_races_with_write", "races", "data race"),
    ("atomic_races_with_plain", "races", "data race"),
    ("shuffle_is_no_barrier", "races", r"data race|uninitialised shared memory"),
    ("syncwarp_of_too_few", "races", r"data race|uninitialised shared memory"),
    ("beyond_static_shared", "memory", "global-buffer-overflow"),
    ("beyond_dynamic_shared", "memory", "heap-buffer-overflow"),
    ("beyond_dynamic_shared", "races", "outside of every array"),
    ("beyond_global", "memory", "heap-buffer-overflow"),
    ("beyond_global", "races", "outside of every array"),
    ("beyond_local", "memory", r"stack-buffer-overflow|insufficient space"),
    ("divergent_barrier", "memory races", r"divergent code.*__syncthreads.*faults_emulated.cpp"),
    ("two_barriers", "memory races", "a barrier in divergent code"),
    ("shuffle_from_inactive_lane", "memory races", r"lane \d reads from lane 9, which takes no"),
    ("lane_never_arrives", "memory races", r"never arrives.*thread 31 has left the kernel"),
    ("not_in_its_own_mask", "memory races", "which does not name it"),
    ("uninitialised_shared", "races", "uninitialised shared memory"),
    ("uninitialised_dynamic_shared", "races", "uninitialised shared memory"),
    ("uninitialised_global", "races", "uninitialised global memory"),
    ("depends_on_order", "memory races", "out depends on the order of threads"),
    ("overflow", "memory", "signed integer overflow"),
    ("too_much_shared", "memory races", "cudaError 9"),
    ("too_many_threads", "memory races", "cudaError 9"),
]


@pytest.mark.parametrize(
    ("fault", "flavour", "message"),
    [(fault, f, message) for fault, flavours, message in FAULTS for f in flavours.split()],
)
@pytest.mark.usefixtures("built")
def test_a_planted_fault_is_found(tmp_path, fault, flavour, message):
    start = torch.ones(100, dtype=torch.int32)
    start[32], start[99] = 32, 0
    with pytest.raises(EmulationError, match=rf"(?s){message}") as found:
        emulate(tmp_path, flavour, fault, start=start)
    if "depends" not in message and "cudaError" not in message:
        assert "faults_emulated.cpp:" in str(found.value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_reduction(emulate, dtype):
    values = torch.arange(1000, dtype=dtype)
    expected = torch.nn.functional.pad(values, (0, 24)).view(8, 128).sum(dim=1)
    assert torch.equal(emulate("block_sums", values=values)["sums"], expected)


@pytest.mark.parametrize("count", [32, 96, 1024])
def test_scan(emulate, count):
    values = torch.randint(-9, 9, (count,), dtype=torch.int32)
    assert torch.equal(emulate("scan", values=values)["sums"], values.cumsum(0).int())


def test_histogram(emulate):
    values = torch.randint(0, 37, (2000,), dtype=torch.int32)
    counts = emulate("histogram", values=values, bins=37)["counts"]
    assert torch.equal(counts, values.bincount(minlength=37).int())


def test_bitonic_sort(emulate):
    values = torch.randn(32)
    for sorted_values in emulate("bitonic", values=values).values():
        assert torch.equal(sorted_values, values.sort().values)


def test_votes_reductions_and_partial_masks(emulate):
    values = torch.randint(-3, 4, (32,), dtype=torch.int32)
    lane, positive = torch.arange(32), int((values > 0).sum())
    facts = emulate("warp_facts", values=values)["facts"]
    ballot = sum(1 << i for i in range(32) if values[i] > 0)
    equal = [sum(1 << j for j in range(32) if values[j] == v) for v in values]
    down = torch.where(lane % 16 + 3 < 16, (lane + 3).clamp(max=31), lane)
    expected = [
        [ballot] * 32,
        [1] * 32,
        [0] * 32,
        equal,
        [int(values.sum())] * 32,
        [int(values.min())] * 32,
        [int(values.max())] * 32,
        [int((values == values.min()).nonzero()[0])] * 32,
        [int((values == values.max()).nonzero()[0])] * 32,
        values[lane // 8 * 8 + (lane + 3) % 8].tolist(),
        values[down].tolist(),
        torch.where(lane >= 16, values[lane ^ 5], -1).tolist(),
        [positive] * 32,
        [1] * 32,
        [0] * 32,
    ]
    wrapped = torch.tensor(expected).to(torch.int32)
    assert torch.equal(facts, wrapped)
