"""Layers of evaluation against the same layers written out in float64."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import pcclust
from pcclust.ops._registry import why_missing
from pcclust.ops.edge_layer import edge_layer
from pcclust.ops.linear_pool import linear_pool
from pcclust.ops.row_layer import row_layer
from pcclust.ops.segments import Segments

BACKENDS = [backend for backend in ("torch", "cpu") if why_missing(backend) is None]
TOLERANCES = {torch.float32: 2e-6, torch.float64: 1e-14}
SIZES = st.lists(st.integers(0, 40), max_size=6)
WIDTHS = st.lists(st.sampled_from([0, 1, 4, 7, 32, 65]), min_size=1, max_size=4)
OUTPUTS = st.sampled_from([1, 5, 16, 64, 65, 130])
DTYPES = st.sampled_from([torch.float32, torch.float64])


class Case:
    """Rows in several parts, runs of them with gaps between, and a layer."""

    def __init__(
        self,
        sizes: list[int],
        widths: list[int],
        outputs: int,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        gaps = torch.randint(0, 3, (len(sizes),), generator=self.generator)
        self.sizes = torch.tensor(sizes, dtype=torch.int64)
        self.starts = (gaps + self.sizes).cumsum(dim=0) - self.sizes
        self.count = int((gaps + self.sizes).sum()) + 2
        self.parts = [self.drawn(self.count, width).to(dtype) for width in widths]
        inputs = sum(widths)
        self.weight = self.drawn(outputs, inputs).to(dtype) / max(inputs, 1) ** 0.5
        self.bias = self.drawn(outputs).to(dtype)
        self.layer = (self.weight, self.bias)
        self.runs = (self.starts, self.sizes)
        self.segments = Segments(None, *self.runs)

    def drawn(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self.generator, dtype=torch.float64)

    def layer_of_rows(self, slope: float, half: bool = False) -> Tensor:
        x, weight = torch.cat(self.parts, dim=1), self.weight
        if half:
            x, weight = x.bfloat16(), weight.bfloat16()
        return F.leaky_relu(x.double() @ weight.double().T + self.bias.double(), slope)

    def cut(self, rows: Tensor) -> list[Tensor]:
        ranges = zip(self.starts.tolist(), self.sizes.tolist(), strict=True)
        return [rows[start : start + size] for start, size in ranges]


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    if found.numel():
        scale = max(float(expected.abs().max()), 1.0)
        assert float((found.double() - expected).abs().max()) <= tolerance * scale


@pytest.mark.parametrize("backend", BACKENDS)
@given(SIZES, WIDTHS, OUTPUTS, st.sampled_from([0.0, 0.2, 1.0]), DTYPES, st.integers(0, 10**6))
def test_row_layer(
    backend: str,
    sizes: list[int],
    widths: list[int],
    outputs: int,
    slope: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    case = Case(sizes, widths, outputs, dtype, seed)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        found = row_layer(case.parts, *case.layer, slope)
    assert found.dtype == dtype
    assert_close(found, case.layer_of_rows(slope), TOLERANCES[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    SIZES, WIDTHS, OUTPUTS, st.sampled_from([0.0, 0.2]), DTYPES, st.booleans(), st.integers(0, 9**6)
)
def test_linear_pool(
    backend: str,
    sizes: list[int],
    widths: list[int],
    outputs: int,
    slope: float,
    dtype: torch.dtype,
    listed: bool,
    seed: int,
) -> None:
    case = Case(sizes, widths, outputs, dtype, seed)
    rows, members = case.layer_of_rows(slope), None
    if listed:
        members = torch.randint(0, case.count, (case.count,), generator=case.generator)
        rows = rows[members]
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        maxima, means = linear_pool(case.parts, *case.layer, Segments(members, *case.runs), slope)
    nothing = torch.zeros(outputs, dtype=torch.float64)  # what a segment without rows gives
    segments = case.cut(rows)
    largest = [segment.amax(dim=0) if len(segment) else nothing for segment in segments]
    average = [segment.mean(dim=0) if len(segment) else nothing for segment in segments]
    assert maxima.shape == means.shape == (len(sizes), outputs)
    for found, expected in ((maxima, largest), (means, average)):
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, TOLERANCES[dtype])


def neighbors_of(case: Case, k: int) -> Tensor:
    """Returns neighbours at random, and rubbish on padding."""
    neighbors = torch.full((case.count, k), -7)
    for start, size in zip(case.starts.tolist(), case.sizes.tolist(), strict=True):
        if size:
            drawn = torch.randint(0, size, (size, k), generator=case.generator)
            neighbors[start : start + size] = drawn
    return neighbors


def edges_written_out(
    case: Case, weight: Tensor, bias: Tensor, neighbors: Tensor, slope: float
) -> Tensor:
    x = torch.cat(case.parts, dim=1).double()
    u, v = (x @ half.double().T for half in weight.chunk(2))
    expected = torch.zeros(case.count, len(bias), dtype=torch.float64)
    for start, size in zip(case.starts.tolist(), case.sizes.tolist(), strict=True):
        own = slice(start, start + size)
        if size:
            largest = v[own][neighbors[own]].amax(dim=1)
            expected[own] = F.leaky_relu(u[own] + largest + bias.double(), slope)
    return expected


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    SIZES,
    WIDTHS,
    OUTPUTS,
    st.sampled_from([0.0, 0.2]),
    DTYPES,
    st.integers(1, 20),
    st.integers(0, 9**6),
)
def test_edge_layer(
    backend: str,
    sizes: list[int],
    widths: list[int],
    channels: int,
    slope: float,
    dtype: torch.dtype,
    k: int,
    seed: int,
) -> None:
    case = Case(sizes, widths, channels, dtype, seed)
    weight = torch.cat([case.weight, case.weight.flip(0)])
    neighbors = neighbors_of(case, k)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        found = edge_layer(case.parts, weight, case.bias, neighbors, *case.runs, slope)
    expected = edges_written_out(case, weight, case.bias, neighbors, slope)
    assert_close(found, expected, 2 * TOLERANCES[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
def test_edges_far_from_the_origin_keep_what_tells_them_apart(backend: str) -> None:
    case = Case([50, 60], [3], 8, torch.float32)
    case.parts[0] += 1000.0
    weight = torch.cat([case.weight, -case.weight])  # of the difference alone
    neighbors = neighbors_of(case, 5)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        found = edge_layer(case.parts, weight, case.bias, neighbors, *case.runs, 0.2)
    expected = edges_written_out(case, weight, case.bias, neighbors, 0.2)
    assert_close(found, expected, 1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("widths", [[64], [63, 1], [33, 40, 7]])
def test_half_rounds_factors_and_not_sums(backend: str, widths: list[int]) -> None:
    case = Case([100, 30], widths, 70, torch.float32)
    expected = case.layer_of_rows(0.2, half=True)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        rows = row_layer(case.parts, *case.layer, 0.2, half=True)
        maxima, _ = linear_pool(case.parts, *case.layer, case.segments, 0.2, half=True)
    assert_close(rows, expected, 2e-6)
    for found, segment in zip(maxima, case.cut(expected), strict=True):
        assert_close(found, segment.amax(dim=0), 2e-6)
    assert float((rows - case.layer_of_rows(0.2)).abs().max()) > 1e-4


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_is_seen(backend: str) -> None:
    case = Case([20, 20], [16], 40, torch.float32)
    case.parts[0][case.starts[1] + 3, 0] = torch.nan
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        maxima, means = linear_pool(case.parts, *case.layer, case.segments, 0.2)
    assert maxima[1].isnan().all()
    assert means[1].isnan().all()
    assert torch.isfinite(maxima[0]).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_of_a_neighbour_is_seen(backend: str, dtype: torch.dtype) -> None:
    """The row that is its cloud's mean makes 0 times inf, wherever it is among neighbours."""
    case = Case([31], [1], 21, dtype)
    start = int(case.starts[0])
    rows = torch.arange(31).remainder(2).to(dtype) * 2
    rows[30] = 1  # of 15 zeros and 15 twos
    case.parts[0][start : start + 31, 0] = rows
    weight = torch.cat([torch.zeros_like(case.weight), torch.ones_like(case.weight)])
    weight[21::4] = torch.inf
    neighbors = torch.ones(case.count, 4, dtype=torch.int64)
    neighbors[start + torch.arange(3), torch.tensor([0, 1, 3])] = 30
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        edges = edge_layer(case.parts, weight, case.bias, neighbors, *case.runs, 0.2)
    expected = torch.zeros_like(edges, dtype=torch.bool)
    expected[start : start + 3, ::4] = True
    assert torch.equal(edges.isnan(), expected)


@pytest.mark.skipif("cpu" not in BACKENDS, reason="no native library")
def test_threads_change_no_bit() -> None:
    case, threads = Case([5000, 3, 0, 40], [33], 70, torch.float32), torch.get_num_threads()
    weight = torch.cat([case.weight, case.weight])
    neighbors = neighbors_of(case, 5)
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            pooled = linear_pool(case.parts, *case.layer, case.segments, 0.2)
            edges = edge_layer(case.parts, weight, case.bias, neighbors, *case.runs, 0.2)
            results.append([*pooled, edges, row_layer(case.parts, *case.layer, 0.2)])
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


def test_operators_are_well_made() -> None:
    case = Case([10, 0, 20], [4, 3], 6)
    operators, weight = torch.ops.pcclust, torch.cat([case.weight, case.weight])
    members = torch.arange(case.count)
    torch.library.opcheck(operators.row_layer, (case.parts, *case.layer, 0.2, False))
    for listed in (None, members):
        arguments = (case.parts, *case.layer, listed, *case.runs, 0.2, False)
        torch.library.opcheck(operators.linear_pool, arguments)
    neighbors = neighbors_of(case, 3)
    arguments = (case.parts, weight, case.bias, neighbors, *case.runs, 0.2)
    torch.library.opcheck(operators.edge_layer, arguments)


def test_compiles_and_exports() -> None:
    case = Case([10, 20], [4, 3], 6, torch.float32)

    class Pooling(torch.nn.Module):
        def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
            return linear_pool([first, second], *case.layer, case.segments, 0.2)

    expected = Pooling()(*case.parts)
    exported = torch.export.export(Pooling(), tuple(case.parts)).module()
    for found in (exported(*case.parts), torch.compile(Pooling(), backend="eager")(*case.parts)):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_refuses_what_does_not_fit(backend: str) -> None:
    case = Case([10, 20], [4, 3], 6, torch.float32)
    neighbors = neighbors_of(case, 3)
    neighbors[case.starts[0]] = 10
    far = torch.tensor([case.count])
    wide = torch.cat([case.weight, case.weight])
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        for call in (
            lambda: row_layer(case.parts[:1], *case.layer, 0.2),
            lambda: row_layer([], *case.layer, 0.2),
            lambda: row_layer([case.parts[0], case.parts[1][:5]], *case.layer, 0.2),
            lambda: row_layer([case.parts[0], case.parts[1].double()], *case.layer, 0.2),
            lambda: row_layer(case.parts, *case.layer, -0.1),
            lambda: linear_pool(case.parts, *case.layer, Segments(far, *case.runs), 0.2),
            lambda: linear_pool(
                case.parts, *case.layer, Segments(None, case.starts + 3, case.sizes), 0.2
            ),
            lambda: edge_layer(case.parts, wide, case.bias, neighbors, *case.runs, 0.2),
            lambda: edge_layer(case.parts, case.weight, case.bias, neighbors, *case.runs, 0.2),
        ):
            with pytest.raises(RuntimeError):
                call()


@pytest.mark.parametrize("backend", BACKENDS)
def test_half_needs_float32(backend: str) -> None:
    case = Case([10], [4], 6, torch.float64)
    with pcclust.use_backend(backend), pytest.raises(RuntimeError, match="need float32"):  # type: ignore[arg-type]
        row_layer(case.parts, *case.layer, 0.2, half=True)
