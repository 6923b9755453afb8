"""Every instruction set's kernels return the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import pcclust
from pcclust.ops._facts import native_facts
from pcclust.ops._registry import why_missing

# Prints a digest of what the kernels return; the choice of kernels is made once in a process.
SCRIPT = """
import hashlib, torch, pcclust
from pcclust.ops._facts import native_facts
from pcclust.ops.edge_reduce import edge_reduce
from tests.ops.sample_clouds import KINDS, sample_cloud
print(native_facts()["instruction_set"])
results = []
for kind in KINDS:
    for dtype in (torch.float32, torch.float64):
        for dims in (3, 7):
            points = sample_cloud(kind, 700, dims, dtype)
            results += [*pcclust.knn(points[:, :3], 9), *pcclust.ball_query(points[:, :3], 0.3, 9)]
            results += [pcclust.farthest_point_sample(points, 90), pcclust.ward_linkage(points)]
torch.manual_seed(0)
for dtype in (torch.float32, torch.float64):
    values = torch.randn(400, 2, 37, dtype=dtype, requires_grad=True)
    neighbors, sign = torch.randint(0, 200, (400, 9)), torch.randn(37, dtype=dtype).sign()
    starts, sizes = torch.tensor([0, 200]), torch.tensor([200, 200])
    maxima, sums = edge_reduce(values, neighbors, starts, sizes, sign, True)
    (maxima.square().sum() + sums.sum()).backward()
    results += [maxima, sums, values.grad]
digest = hashlib.sha256()
for result in results:
    digest.update(result.detach().numpy().tobytes())
print(digest.hexdigest())
"""


def run(instruction_set: str) -> list[str]:
    environment = {**os.environ, "PCCLUST_ISA": instruction_set}
    root = Path(__file__).parents[2]
    environment["PYTHONPATH"] = os.pathsep.join([str(root), environment.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(pcclust.__file__).parents[1],  # this very build
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


@pytest.mark.parametrize("instruction_set", ["baseline", "avx2"])
def test_lower_instruction_sets_return_the_same_bits(instruction_set: str) -> None:
    if why_missing("cpu") is not None:
        pytest.skip("no native library")
    best = native_facts()["instruction_set"]
    if instruction_set == best:
        pytest.skip("the best that this processor has")
    used, digest = run(instruction_set)
    assert used in (instruction_set, "baseline")
    assert digest == run(best)[1]
