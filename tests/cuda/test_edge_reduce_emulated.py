"""The CUDA kernels of `edge_reduce`, emulated, against the torch twin and the CPU's kernels."""

import pytest
import torch
from torch import Tensor

import pcclust
from pcclust.ops._registry import why_missing
from tests.ops.sample_clouds import same_bits

pytestmark = pytest.mark.emulated

NOTHING_WRONG = -1


def ragged(sizes: list[int], gap: int, k: int) -> dict[str, Tensor]:
    """Returns graphs of clouds with rows of padding behind each; neighbours may repeat."""
    counts = torch.tensor(sizes, dtype=torch.int64)
    starts = torch.cumsum(counts + gap, 0) - counts - gap
    neighbors = torch.full((int((counts + gap).sum()), k), -7)
    for start, size in zip(starts.tolist(), sizes, strict=True):
        neighbors[start : start + size] = torch.randint(0, max(size, 1), (size, k))
    return {"neighbors": neighbors, "starts": starts, "sizes": counts}


def values(graph: dict[str, Tensor], channels: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """Returns projected rows with many ties, and signs of all three kinds."""
    projected = torch.randn(graph["neighbors"].shape[0], 2, channels, dtype=dtype)
    projected[:, 1, ::3] = projected[:, 1, ::3].round()
    return {"projected": projected, "sign": torch.arange(channels).remainder(3).sub(1).to(dtype)}


def backend(operator: str, backend: str, *arguments: object) -> tuple[Tensor, ...]:
    with pcclust.use_backend(backend):
        found = getattr(torch.ops.pcclust, operator + ("_torch" if backend == "torch" else ""))(
            *arguments
        )
    return found if isinstance(found, tuple) else (found,)


SHAPES = [
    ([40], 0, 7, 5),
    ([33, 1, 70], 3, 20, 64),
    ([9, 12], 0, 40, 33),
    ([17, 5], 1, 3, 128),
    ([300, 3], 2, 1, 1),
    ([64], 5, 33, 96),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("sizes", "gap", "k", "channels"), SHAPES)
def test_forward(emulate, sizes, gap, k, channels, dtype):
    torch.manual_seed(k)
    graph = ragged(sizes, gap, k)
    given = values(graph, channels, dtype)
    arguments = (given["projected"], *graph.values(), given["sign"], True)
    found = emulate("edge_reduce", **graph, **given, moments=1)
    maxima, argmax, sums = backend("edge_reduce", "torch", *arguments)
    assert found["refusal"].tolist() == [NOTHING_WRONG] * 3
    assert same_bits(found["maxima"], maxima)
    assert same_bits(found["argmax"], argmax)
    assert torch.allclose(found["sums"], sums, rtol=1e-13, atol=1e-10)
    without = emulate("edge_reduce", **graph, **given, moments=0)
    assert same_bits(without["maxima"], maxima)
    assert "sums" not in without


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_first_nan_stays(emulate, dtype):
    torch.manual_seed(0)
    graph = ragged([60, 3], 2, 9)
    given = values(graph, 33, dtype)
    others = torch.tensor([torch.nan, torch.inf, -torch.inf], dtype=dtype)
    v = given["projected"][:, 1]
    v[:] = torch.where(torch.rand(v.shape) < 0.1, others[torch.randint(0, 3, v.shape)], v)
    found = emulate("edge_reduce", **graph, **given, moments=0)
    arguments = (given["projected"], *graph.values(), given["sign"], False)
    maxima, argmax, _ = backend("edge_reduce", "torch", *arguments)
    assert maxima.isnan().any()
    assert torch.equal(found["argmax"], argmax)
    torch.testing.assert_close(found["maxima"], maxima, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("moments", [True, False])
@pytest.mark.parametrize(("sizes", "gap", "k", "channels"), SHAPES)
def test_backward(emulate, sizes, gap, k, channels, moments, dtype):
    torch.manual_seed(k)
    graph = ragged(sizes, gap, k)
    given = values(graph, channels, dtype)
    projected, tables = given["projected"], tuple(graph.values())
    maxima, argmax, sums = backend("edge_reduce", "torch", projected, *tables, given["sign"], True)
    gradients = torch.randn_like(maxima), torch.randn_like(sums)
    arguments = (*gradients, projected, *tables, argmax, moments)
    found = emulate(
        "edge_reduce_backward",
        **graph,
        projected=projected,
        argmax=argmax,
        max_gradient=gradients[0],
        moment_gradient=gradients[1] if moments else None,
    )
    assert found["refusal"].tolist() == [NOTHING_WRONG] * 3
    (twin,) = backend("edge_reduce_backward", "torch", *arguments)
    tolerance = 2e-4 if dtype == torch.float32 else 1e-11
    assert torch.allclose(found["gradient"], twin, rtol=tolerance, atol=tolerance)
    if why_missing("cpu") is None:
        assert same_bits(found["gradient"], backend("edge_reduce_backward", "cpu", *arguments)[0])


def test_all_edges_lead_to_one_point(emulate):
    graph = ragged([150], 0, 6)
    graph["neighbors"][:] = 3
    given = values(graph, 4, torch.float64)
    arguments = (given["projected"], *graph.values())
    maxima, argmax, _ = backend("edge_reduce", "torch", *arguments, given["sign"], True)
    moment_gradient = torch.randn(2, 4, dtype=torch.float64)
    found = emulate(
        "edge_reduce_backward",
        **graph,
        projected=given["projected"],
        argmax=argmax,
        max_gradient=maxima,
        moment_gradient=moment_gradient,
    )
    (twin,) = backend(
        "edge_reduce_backward", "torch", maxima, moment_gradient, *arguments, argmax, True
    )
    assert torch.allclose(found["gradient"], twin, rtol=1e-11, atol=1e-11)


def test_no_rows(emulate):
    graph = {"neighbors": torch.empty(0, 4).long(), "starts": torch.empty(0).long()}
    graph["sizes"] = graph["starts"]
    given = values(graph, 6, torch.float32)
    found = emulate("edge_reduce", **graph, **given, moments=1)
    assert found["maxima"].shape == (0, 6)
    assert torch.equal(found["sums"], torch.zeros(2, 6, dtype=torch.float64))


def test_wrong_input_is_refused_and_read_nowhere(emulate):
    graph = ragged([10, 20], 0, 5)
    given = values(graph, 8, torch.float32)
    graph["neighbors"][11, 3] = 20
    graph["neighbors"][12, 0] = -1
    assert emulate("edge_reduce", **graph, **given, moments=1)["refusal"].tolist() == [-1, 58, -1]
    backward = {
        "argmax": torch.zeros(30, 8, dtype=torch.int32),
        "max_gradient": torch.ones(30, 8),
        "moment_gradient": torch.ones(2, 8, dtype=torch.float64),
        "projected": given["projected"],
    }
    backward["argmax"][15, 7] = 20
    found = emulate("edge_reduce_backward", **graph, **backward)
    assert found["refusal"].tolist() == [-1, 58, 1]
    for start, size in ((10, 21), (-1, 20), (31, 1), (10, -3)):
        tables = {"starts": torch.tensor([0, start]), "sizes": torch.tensor([10, size])}
        found = emulate("edge_reduce", **{**graph, **tables}, **given, moments=1)
        assert found["refusal"][0] == 1
        found = emulate("edge_reduce_backward", **{**graph, **tables}, **backward)
        assert found["refusal"][0] == 1
