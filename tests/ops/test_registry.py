"""Operators as torch sees them: opcheck, the compilers, export, and the choice of the backend."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import pcclust
from pcclust.ops import _registry
from tests.ops.sample_clouds import same_bits, sample_cloud

POINTS = sample_cloud("lattice", 12)
QUERIES = sample_cloud("normal", 6)
ONE_CLOUD = (torch.tensor([0]), torch.tensor([12]))
TWO_CLOUDS = (torch.tensor([0, 5]), torch.tensor([5, 6]))  # and a row of padding
TWO_QUERIES = (torch.tensor([0, 2]), torch.tensor([2, 4]))
NO_QUERIES = (None, None, None)
SAMPLES: dict[str, list[tuple[Any, ...]]] = {
    "knn": [
        (POINTS, *ONE_CLOUD, *NO_QUERIES, False, 3, False),
        (POINTS, *TWO_CLOUDS, *NO_QUERIES, True, 4, True),
        (POINTS, *TWO_CLOUDS, QUERIES, *TWO_QUERIES, True, 2, False),
    ],
    "ball_query": [
        (POINTS, *ONE_CLOUD, *NO_QUERIES, False, 0.2, 3, False),
        (POINTS, *TWO_CLOUDS, *NO_QUERIES, True, 0.2, 20, True),
        (POINTS, *TWO_CLOUDS, QUERIES, *TWO_QUERIES, True, 0.9, 2, False),
    ],
    "farthest_point_sample": [
        (POINTS, *ONE_CLOUD, torch.tensor([3]), False, 4),
        (POINTS, *TWO_CLOUDS, torch.tensor([4, 0]), True, 5),
    ],
}


@pytest.mark.parametrize("twin", ["", "_torch"])
@pytest.mark.parametrize(
    ("name", "arguments"), [(name, a) for name, several in SAMPLES.items() for a in several]
)
def test_opcheck(name: str, arguments: tuple[Any, ...], twin: str) -> None:
    torch.library.opcheck(getattr(torch.ops.pcclust, name + twin).default, arguments)


@pytest.mark.parametrize(
    ("name", "arguments"), [(name, a) for name, several in SAMPLES.items() for a in several]
)
def test_fake_kernels_tell_the_truth_without_data(name: str, arguments: tuple[Any, ...]) -> None:
    operator = getattr(torch.ops.pcclust, name)
    on_meta = [a.to("meta") if isinstance(a, Tensor) else a for a in arguments]
    for fake, real in zip(operator(*on_meta), operator(*arguments), strict=True):
        assert (fake.shape, fake.dtype) == (real.shape, real.dtype)


def test_meta_tensors_pass_through_the_public_functions() -> None:
    points = torch.empty(4, 30, 3, device="meta", dtype=torch.float16)
    near = pcclust.knn(points, 5, lengths=torch.full((4,), 20, device="meta"))
    assert (near.distances.shape, near.distances.dtype) == ((4, 30, 5), torch.float32)
    assert pcclust.ball_query(points, 1.0, 7).counts.device.type == "meta"


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize(
    "tables",
    [
        ([0], [13]),
        ([1], [12]),
        ([-1], [5]),
        ([0], [-1]),
        ([2**62], [2**62]),
        ([0, 4], [4]),
        ([[0]], [[12]]),
    ],
)
def test_no_call_reads_out_of_bounds(name: str, tables: tuple[list[int], list[int]]) -> None:
    starts, sizes = map(torch.tensor, tables)
    _, _, _, *rest = SAMPLES[name][0]
    with pytest.raises(RuntimeError):
        getattr(torch.ops.pcclust, name)(POINTS, starts, sizes, *rest)


def near_and_ball(points: Tensor, k: int = 3, **options: Any) -> tuple[Tensor, ...]:
    near = pcclust.knn(points, k, **options)
    return *near, *pcclust.ball_query(points, 0.3, k + 2, **options)


def both(points: Tensor, offsets: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
    """Searches clouds in every layout."""
    packed = near_and_ball(points.flatten(0, 1), offsets=offsets)
    padded = near_and_ball(points, lengths=lengths, exclude_self=True)
    return *near_and_ball(points), *packed, *padded


def batch_of(clouds: int, count: int) -> tuple[Tensor, Tensor, Tensor]:
    points = sample_cloud("lattice", clouds * count).view(clouds, count, 3)
    lengths = torch.full((clouds,), count - 1)
    return points, torch.arange(clouds + 1) * count, lengths


def assert_equal(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("dynamic", [None, True])
def test_compiles_into_one_graph(dynamic: bool | None) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(both, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for clouds, count in ((2, 12), (3, 20), (5, 31)):
        arguments = batch_of(clouds, count)
        assert_equal(compiled(*arguments), both(*arguments))


def test_compiles_with_gradients() -> None:
    torch._dynamo.reset()

    def energy(points: Tensor, radius: float) -> Tensor:
        ball = pcclust.ball_query(points, radius, 4)
        inside = torch.where(ball.indices >= 0, ball.distances, 0)
        return pcclust.knn(points, 4).distances.square().sum() + inside.sum()

    compiled = torch.compile(energy, fullgraph=True, dynamic=True, backend="aot_eager")
    for count, radius in ((9, 0.5), (14, 0.7)):
        points = sample_cloud("normal", count).requires_grad_()
        (found,) = torch.autograd.grad(compiled(points, radius), points)
        (expected,) = torch.autograd.grad(energy(points, radius), points)
        torch.testing.assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [None, True])
def test_compiles_with_inductor(dynamic: bool | None) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(both, fullgraph=True, dynamic=dynamic)
    for clouds, count in ((2, 12), (3, 20)):
        arguments = batch_of(clouds, count)
        assert_equal(compiled(*arguments), both(*arguments))
    points = sample_cloud("normal", 20).requires_grad_()
    compiled(points[None], *batch_of(1, 20)[1:])[0].sum().backward()
    found, points.grad = points.grad, None
    pcclust.knn(points, 3).distances.sum().backward()
    torch.testing.assert_close(found, points.grad)


class Search(torch.nn.Module):
    def __init__(self, function: Callable[..., tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.function = function

    def forward(self, points: Tensor, offsets: Tensor, lengths: Tensor) -> tuple[Tensor, ...]:
        return self.function(points, offsets, lengths)


def test_exports_with_dynamic_batch_and_points() -> None:
    clouds, count = torch.export.Dim("clouds", min=1), torch.export.Dim("count", min=4)
    offsets = torch.export.Dim("offsets", min=3)
    program = torch.export.export(
        Search(both),
        batch_of(2, 12),
        dynamic_shapes={
            "points": {0: clouds, 1: count},
            "offsets": {0: offsets},
            "lengths": {0: clouds},
        },
    )
    for size in ((2, 12), (3, 5), (6, 40)):
        arguments = batch_of(*size)
        assert_equal(program.module()(*arguments), both(*arguments))


def test_nan_in_a_graph_is_refused(backend: str) -> None:
    """Graphs do not look at values, but the operators in them do."""
    points = sample_cloud("normal", 40)
    points[3, 1] = torch.nan
    compiled = torch.compile(lambda p: pcclust.knn(p, 3).indices, fullgraph=True, backend="eager")
    with pytest.raises(RuntimeError, match="points hold NaN or inf"):
        compiled(points)


def test_vmap_refuses_values_that_are_not_finite(backend: str) -> None:
    points = sample_cloud("normal", 40).view(4, 10, 3)
    points[2, 7, 0] = torch.inf
    with pytest.raises(ValueError, match=r"points\[2, 7\] is not finite: \[inf"):
        torch.vmap(lambda p: pcclust.knn(p, 2).indices)(points)
    with pytest.raises(ValueError, match=r"queries\[2, 7\] is not finite"):
        torch.vmap(lambda q: pcclust.ball_query(points[0], 1.0, 2, queries=q).indices)(points)


def run(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"import torch, pcclust\n{code}"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ("cuda", "RuntimeError: the 'cuda' backend is demanded, but cannot serve: "),
        ("opencl", "ValueError: PCCLUST_BACKEND='opencl' is none of torch, cpu, cuda"),
    ],
)
def test_the_environment_is_refused_with_the_reason(wish: str, message: str) -> None:
    done = run("pcclust.knn(torch.eye(3), 1)", PCCLUST_BACKEND=wish)
    assert done.returncode == 1
    assert message in done.stderr


def test_the_environment_forces_torch() -> None:
    code = """
print(pcclust.knn(torch.eye(3), 1).indices.flatten().tolist())
from pcclust.ops import _registry
print(_registry.native is None)
with pcclust.use_backend("cpu"):
    pass
"""
    done = run(code, PCCLUST_BACKEND="torch")
    assert done.stdout.split("\n")[:2] == ["[0, 1, 2]", "True"]
    assert "RuntimeError: backend 'cpu' is not available: PCCLUST_BACKEND=torch" in done.stderr


def test_the_environment_forces_cpu() -> None:
    done = run("pcclust.knn(torch.eye(3), 1)", PCCLUST_BACKEND="cpu")
    if _registry.native is not None:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert "RuntimeError: the 'cpu' backend is demanded, but cannot serve" in done.stderr
    meta = run("pcclust.knn(torch.eye(3).to('meta'), 1)", PCCLUST_BACKEND="cpu")
    assert "RuntimeError: the 'cpu' backend is demanded" in meta.stderr


def test_use_backend_refuses_what_is_not_there() -> None:
    with pytest.raises(ValueError, match="backend 'gpu' is none of torch, cpu, cuda"):
        pcclust.use_backend("gpu").__enter__()
    with pytest.raises(RuntimeError, match="backend 'cuda' is not available: "):
        pcclust.use_backend("cuda").__enter__()


def test_use_backend_chooses_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*args: Any) -> None:
        raise AssertionError

    with pcclust.use_backend("torch"):
        monkeypatch.setattr(torch.ops.pcclust, "knn", forbidden)
        assert pcclust.knn(POINTS, 1).indices.shape == (12, 1)
    with pytest.raises(AssertionError):
        pcclust.knn(POINTS, 1)


def test_use_backend_ends_with_its_block_and_stays_in_its_thread() -> None:
    seen = []
    thread = threading.Thread(target=lambda: seen.append(_registry.forced_backend()))

    def fail_inside() -> None:
        with pcclust.use_backend("torch"):
            seen.append(_registry.forced_backend())
            thread.start()
            thread.join()
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    expected = os.environ.get("PCCLUST_BACKEND") or None
    assert seen == ["torch", expected]
    assert _registry.forced_backend() == expected


DIGEST = """
import hashlib
from tests.ops.sample_clouds import KINDS, sample_cloud
digest = hashlib.sha256()
for kind in KINDS:
    for dtype in (torch.float32, torch.float64):
        for dims in (1, 2, 3, 6):
            points = sample_cloud(kind, 400, dims, dtype)
            for result in (pcclust.knn(points, 30), pcclust.ball_query(points, 0.4, 80)):
                for tensor in result:
                    digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


@pytest.mark.slow
def test_every_instruction_set_gives_the_same_bits() -> None:
    if _registry.native is None:
        pytest.skip(_registry.native_reason)
    runs = [run(DIGEST, PCCLUST_ISA=isa) for isa in ("baseline", "avx2", "avx512")]
    runs.append(run(DIGEST, PCCLUST_BACKEND="torch"))
    assert all(done.returncode == 0 for done in runs)
    assert len({done.stdout for done in runs}) == 1


@pytest.mark.parametrize("name", ["ward_linkage", "ward_cut"])
def test_operators_of_single_steps_are_taken_from_a_gpu_to_the_cpu(name: str) -> None:
    tables = (torch.tensor([0, 5]), torch.tensor([5, 7]))
    linkage = torch.ops.pcclust.ward_linkage(POINTS, *tables)
    given = (POINTS, *tables) if name == "ward_linkage" else (linkage, *tables, [3, 2])
    assert torch._C._dispatch_has_kernel_for_dispatch_key(f"pcclust::{name}", "CUDA")
    found = _registry.run_on_cpu(name, *given)
    assert torch.equal(found, getattr(torch.ops.pcclust, name)(*given))
