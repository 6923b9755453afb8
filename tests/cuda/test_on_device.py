"""The CUDA backend on a GPU against the torch twin, over clouds, layouts, k's and dtypes."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pcclust.nn import EdgeConv
from pcclust.ops import _registry
from tests.ops.sample_clouds import KINDS, same_bits, sample_cloud

pytestmark = pytest.mark.gpu

DTYPES = (torch.float32, torch.float64)


@pytest.fixture(autouse=True)
def _device() -> None:
    reason = _registry.why_missing("cuda")
    if reason is not None:
        pytest.fail(f"the CUDA backend must be here: {reason}")


def served(*operators: str) -> pytest.MarkDecorator:
    """Skips where an operator has no CUDA kernel yet."""
    has = torch._C._dispatch_has_kernel_for_dispatch_key
    missing = [o for o in operators if not has(f"pcclust::{o}", "CUDA")]
    return pytest.mark.skipif(bool(missing), reason=f"no CUDA kernel for {', '.join(missing)}")


def moved(value: Any, device: str) -> Any:
    return value.to(device) if isinstance(value, Tensor) else value


def both(operator: str, *arguments: Any) -> list[tuple[Tensor, Tensor]]:
    """Returns each result of the CUDA kernel, on the CPU, beside that of the twin."""
    twin = getattr(torch.ops.pcclust, f"{operator}_torch")(*arguments)
    found = getattr(torch.ops.pcclust, operator)(*(moved(a, "cuda") for a in arguments))
    several = isinstance(twin, tuple)
    pairs = zip(found, twin, strict=True) if several else [(found, twin)]
    return [(f.cpu(), t) for f, t in pairs]


def ragged(kind: str, dims: int, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    """Returns rows of clouds of 500, 64 and 33 points with padding behind each."""
    sizes = torch.tensor([500, 64, 33])
    starts = torch.tensor([0, 510, 580])
    rows = torch.full((620, dims), torch.nan, dtype=dtype)
    for seed, (start, size) in enumerate(zip(starts.tolist(), sizes.tolist(), strict=True)):
        rows[start : start + size] = sample_cloud(kind, size, dims, dtype, seed)
    return rows, starts, sizes


def inside(starts: Tensor, sizes: Tensor, rows: int) -> Tensor:
    row = torch.arange(rows)
    return ((row[:, None] >= starts) & (row[:, None] < starts + sizes)).any(dim=1)


@served("knn")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 20, 33])
def test_knn(kind: str, k: int, dtype: torch.dtype) -> None:
    clouds = ragged(kind, 3, dtype)
    valid = inside(*clouds[1:], 620)
    for packed, exclude_self in ((False, False), (True, k < 33)):
        for found, twin in both("knn", *clouds, None, None, None, packed, k, exclude_self):
            assert same_bits(found[valid], twin[valid])


@served("ball_query")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("radius", "most"), [(0.3, 5), (1.0, 64)])
def test_ball_query(kind: str, radius: float, most: int, dtype: torch.dtype) -> None:
    clouds = ragged(kind, 3, dtype)
    valid = inside(*clouds[1:], 620)
    for found, twin in both("ball_query", *clouds, None, None, None, False, radius, most, False):
        assert same_bits(found[valid], twin[valid])


@served("farthest_point_sample")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_farthest_point_sample(kind: str, dtype: torch.dtype) -> None:
    first = torch.tensor([3, 0, 32])
    clouds = ragged(kind, 3, dtype)
    for found, twin in both("farthest_point_sample", *clouds, first, False, 33):
        assert same_bits(found, twin)


@served("rri")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["normal", "lattice", "duplicates", "plane"])
def test_rri(kind: str, dtype: torch.dtype) -> None:
    clouds = ragged(kind, 3, dtype)
    valid = inside(*clouds[1:], 620)
    for found, twin in both("rri", *clouds, None, 20):
        tolerance = 1e-4 if dtype == torch.float32 else 1e-9
        assert torch.allclose(found[valid], twin[valid], rtol=tolerance, atol=tolerance)


@served("kmeans_assign")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("dims", "centers"), [(3, 5), (64, 100), (257, 10)])
def test_kmeans_assign(dims: int, centers: int, dtype: torch.dtype) -> None:
    points, middles = torch.randn(3000, dims, dtype=dtype), torch.randn(centers, dims, dtype=dtype)
    (_, _), (found, twin) = both("kmeans_assign", points, middles, points.mean(dim=0), None)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    assert torch.allclose(found, twin, rtol=tolerance, atol=tolerance)


@served("edge_reduce", "edge_reduce_backward")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 33, 64, 256])
def test_edge_reduce(channels: int, dtype: torch.dtype) -> None:
    _, starts, sizes = ragged("normal", 3, dtype)
    neighbors = torch.full((620, 20), -1)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        neighbors[start : start + size] = torch.randint(0, size, (size, 20))
    projected = torch.randn(620, 2, channels, dtype=dtype)
    sign = torch.arange(channels).remainder(3).sub(1).to(dtype)
    graph = (projected, neighbors, starts, sizes)
    maxima, argmax, sums = both("edge_reduce", *graph, sign, True)
    assert same_bits(*maxima)
    assert same_bits(*argmax)
    assert torch.allclose(*sums, rtol=1e-12, atol=1e-9)
    again = [both("edge_reduce", *graph, sign, True)[2][0] for _ in range(3)]
    assert all(same_bits(other, sums[0]) for other in again)
    arguments = (maxima[1], sums[1], *graph, argmax[1], True)
    (found, twin) = both("edge_reduce_backward", *arguments)[0]
    tolerance = 1e-3 if dtype == torch.float32 else 1e-10
    assert torch.allclose(found, twin, rtol=tolerance, atol=tolerance * float(twin.abs().max()))
    assert same_bits(both("edge_reduce_backward", *arguments)[0][0], found)


@served("row_moments", "segment_pool", "segment_pull")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("channels", [1, 33, 256])
def test_segment_pool(channels: int, listed: bool, dtype: torch.dtype) -> None:
    _, starts, sizes = ragged("normal", 3, dtype)
    rows, (scale, shift) = (
        torch.randn(620, channels, dtype=dtype),
        torch.randn(2, channels).to(dtype),
    )
    given = (rows, scale, shift, torch.randperm(620) if listed else None, starts, sizes)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    results = both("segment_pool", *given, 0.2)
    assert torch.equal(*results[1])
    pulls = (torch.randn(3, channels, dtype=dtype), torch.randn(3, channels, dtype=dtype))
    arguments = (*given, results[1][1], *pulls, scale, shift, 0.2)
    results += both("segment_pull", *arguments) + both("row_moments", rows)
    for found, twin in results:
        assert torch.allclose(found, twin, rtol=tolerance, atol=tolerance * 100)
    again = both("segment_pool", *given, 0.2)
    assert all(same_bits(a[0], b[0]) for a, b in zip(again, results, strict=False))


@served("group_max", "group_max_backward", "group_moments", "group_moments_backward")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("k", "hidden", "channels"), [(1, 4, 3), (20, 32, 64), (150, 70, 130)])
def test_groups(k: int, hidden: int, channels: int, dtype: torch.dtype) -> None:
    drawn = [torch.randn(n, dtype=dtype) for n in ((700, k, 4), (hidden, 4), (channels, hidden))]
    first, bias = (drawn[0], drawn[1]), torch.randn(hidden, dtype=dtype)
    maxima, argmax = both("group_max", *first, bias, drawn[2], 0.2)
    assert torch.equal(*argmax)
    pulls = (torch.randn(hidden).double(), torch.randn(hidden, hidden).double())
    results = [maxima, *both("group_moments", *first, bias, 0.2)]
    given = (maxima[1], argmax[1], *first, bias, drawn[2], 0.2, True)
    results += both("group_max_backward", *given)
    results += both("group_moments_backward", *pulls, *first, bias, 0.2, True)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-11
    for found, twin in results:
        apart = tolerance * max(1.0, float(twin.abs().max()))
        assert torch.allclose(found, twin, rtol=tolerance, atol=apart)
    again = both("group_max_backward", *given)
    assert all(same_bits(a[0], b[0]) for a, b in zip(again, results[3:], strict=False))


@served("segment_pool")
def test_members_that_are_no_rows_are_refused_on_the_device() -> None:
    one = torch.ones(4, device="cuda")
    tables = [torch.tensor(t, device="cuda") for t in ([0, 1, 9], [0], [3])]
    with pytest.raises(RuntimeError, match="members hold rows that there are not"):
        torch.ops.pcclust.segment_pool(torch.ones(9, 4, device="cuda"), one, one, *tables, 0.2)


@served("row_layer", "linear_pool", "edge_layer")
@pytest.mark.parametrize(
    ("dtype", "half"), [(torch.float32, False), (torch.float32, True), (torch.float64, False)]
)
@pytest.mark.parametrize("widths", [[64], [33, 0, 4]])
def test_layers_of_evaluation(widths: list[int], half: bool, dtype: torch.dtype) -> None:
    """TF32 is off by default in torch, so products are those of float32."""
    _, starts, sizes = ragged("normal", 3, dtype)
    neighbors = torch.full((620, 20), -1)
    for start, size in zip(starts.tolist(), sizes.tolist(), strict=True):
        neighbors[start : start + size] = torch.randint(0, size, (size, 20))
    parts = [torch.randn(620, width, dtype=dtype) + 5 for width in widths]
    on_device = [part.cuda() for part in parts]
    weight, bias = torch.randn(130, sum(widths), dtype=dtype), torch.randn(130, dtype=dtype)
    members = torch.randint(0, 620, (620,))
    operators = torch.ops.pcclust
    for name, given in (
        ("row_layer", (weight, bias, 0.2, half)),
        ("linear_pool", (weight, bias, None, starts, sizes, 0.2, half)),
        ("linear_pool", (weight, bias, members, starts, sizes, 0.2, half)),
        ("edge_layer", (weight, bias[:65].clone(), neighbors, starts, sizes, 0.2)),
    ):
        twin = getattr(operators, f"{name}_torch")(parts, *given)
        found = getattr(operators, name)(on_device, *(moved(value, "cuda") for value in given))
        several = isinstance(twin, tuple)
        pairs = zip(found, twin, strict=True) if several else [(found, twin)]
        tolerance = 1e-4 if dtype == torch.float32 else 1e-11
        for ours, theirs in pairs:
            apart = tolerance * max(1.0, float(theirs.abs().max()))
            assert torch.allclose(ours.cpu(), theirs, rtol=0, atol=apart), name


@served("edge_layer")
def test_networks_in_evaluation_are_those_of_a_cpu() -> None:
    from pcclust.nn import DGCNN, ClusterNet

    points = torch.rand(2, 256, 3)
    for network in (DGCNN(), ClusterNet()):
        network.eval()
        with torch.no_grad():
            expected = network(points)
            found = network.cuda()(points.cuda()).cpu()
        assert torch.allclose(found, expected, rtol=0, atol=1e-3 * float(expected.abs().max()))


@served("edge_reduce")
def test_a_wrong_neighbour_is_named_and_the_device_lives_on() -> None:
    layer, x = EdgeConv(3, 64).cuda(), torch.rand(9, 3, device="cuda")
    with pytest.raises(RuntimeError, match="indices of point 0 of cloud 0 hold 9, but the cloud"):
        layer(x, torch.full((9, 2), 9, device="cuda"))
    assert layer(x, torch.zeros(9, 2, dtype=torch.int64, device="cuda")).isfinite().all()


def run_all(points: Tensor) -> list[Tensor]:
    """Runs the operators themselves: nothing before them waits for the device."""
    starts = torch.arange(0, 800, 200, device=points.device)
    sizes = torch.full_like(starts, 200)
    clouds, operators = (points, starts, sizes), torch.ops.pcclust
    samples = operators.farthest_point_sample(*clouds, torch.zeros_like(starts), False, 10)
    features = operators.rri(*clouds, None, 8)
    return [
        *operators.knn(*clouds, None, None, None, False, 8, True),
        *operators.ball_query(*clouds, None, None, None, False, 0.5, 16, False),
        samples,
        features,
    ]


@served("knn", "ball_query", "farthest_point_sample", "rri")
def test_work_follows_the_current_stream() -> None:
    """On a busy side stream, an operator that used another stream would read too early."""
    points = torch.rand(800, 3, device="cuda")
    expected = run_all(points)
    stream, late = torch.cuda.Stream(), torch.zeros_like(points)
    torch.cuda.synchronize()
    with torch.cuda.stream(stream):
        torch.cuda._sleep(200_000_000)
        late.copy_(points, non_blocking=True)
        found = run_all(late)
    stream.synchronize()
    assert all(same_bits(f.cpu(), e.cpu()) for f, e in zip(found, expected, strict=True))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one device")
@served("knn", "ball_query", "farthest_point_sample", "rri")
def test_a_second_device_serves_its_own_tensors() -> None:
    points = torch.rand(800, 3, device="cuda:0")
    expected = run_all(points)
    with torch.cuda.device(0):
        found = run_all(points.to("cuda:1"))
    assert all(f.device == torch.device("cuda:1") for f in found)
    assert all(same_bits(f.cpu(), e.cpu()) for f, e in zip(found, expected, strict=True))
