"""The CUDA kernels around the products of `edge_layer` and `row_layer`, emulated, against twins.

The product, which is cuBLAS's on a device, is torch's here.
"""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops.edge_layer import _edge_layer_torch
from pcclust.ops.row_layer import _row_layer_torch
from tests.cuda.test_edge_reduce_emulated import ragged
from tests.ops.sample_clouds import same_bits

pytestmark = pytest.mark.emulated

NOTHING_WRONG = [-1] * 3
TOLERANCES = {torch.float32: 2e-6, torch.float64: 1e-14}
SLOPE = 0.2


def layer(
    rows: int, widths: tuple[int, int], outputs: int, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Returns rows in two parts, far from the origin, and a weight and bias for them."""
    generator = torch.Generator().manual_seed(rows)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return {
        "first": drawn(rows, widths[0]) + 10,
        "second": drawn(rows, widths[1]),
        "weight": drawn(outputs, sum(widths)),
    }


def product(rows: Tensor, weight: Tensor, half: bool) -> Tensor:
    return F.linear(rows, weight.bfloat16().to(weight) if half else weight)


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    assert torch.allclose(found, expected, rtol=0, atol=tolerance * scale)


CASES = [
    ([11], 0, 7, (3, 4), 5),
    ([20, 1, 0, 7], 3, 5, (16, 1), 64),
    ([9, 4], 0, 40, (0, 7), 33),
    ([17, 5], 1, 3, (5, 0), 128),
    ([], 2, 3, (2, 2), 4),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("sizes", "gap", "k", "widths", "channels"), CASES)
def test_edge_layer(emulate, sizes, gap, k, widths, channels, dtype):
    torch.manual_seed(k)
    graph = ragged(sizes, gap, k)
    given = layer(len(graph["neighbors"]), widths, 2 * channels, dtype)
    parts, tables = [given["first"], given["second"]], (graph["starts"], graph["sizes"])
    inside = torch.zeros(len(parts[0]), 1, dtype=torch.bool)
    for start, size in zip(*(table.tolist() for table in tables), strict=True):
        inside[start : start + size] = True
    for part in parts:
        part.masked_fill_(~inside, torch.nan)
    means = [
        [part[s : s + n].double().mean(0).to(dtype) for s, n in _spans(tables)] for part in parts
    ]
    centers = [torch.stack(m) if m else part[:0] for m, part in zip(means, parts, strict=True)]
    named = {"first_centers": centers[0].nan_to_num(), "second_centers": centers[1].nan_to_num()}
    placed = emulate("center_parts", **graph, **given, **named, half=0)
    bias = torch.randn(channels, dtype=dtype)
    found = emulate(
        "edge_layer",
        **graph,
        projected=product(placed["placed"], given["weight"], half=False).view(-1, 2, channels),
        shift=placed["shift"],
        bias=bias,
        slope=SLOPE,
    )
    assert found["refusal"].tolist() == NOTHING_WRONG
    expected = _edge_layer_torch(parts, given["weight"], bias, graph["neighbors"], *tables, SLOPE)
    assert_near(found["out"], expected, TOLERANCES[dtype])
    assert same_bits(found["out"][~inside[:, 0]], torch.zeros_like(expected)[~inside[:, 0]])


def _spans(tables: tuple[Tensor, Tensor]) -> list[tuple[int, int]]:
    return list(zip(*(table.tolist() for table in tables), strict=True))


def test_nan_among_neighbours_stays(emulate):
    graph = ragged([6], 0, 3)
    graph["neighbors"] = torch.tensor([[0, 1, 2], [1, 0, 2], [2, 1, 0], *[[3, 4, 5]] * 3])
    projected = torch.randn(6, 2, 4)
    projected[1, 1, 2] = torch.nan
    shift = torch.zeros(1, 4, dtype=torch.float64)
    found = emulate(
        "edge_layer", **graph, projected=projected, shift=shift, bias=torch.zeros(4), slope=SLOPE
    )
    assert found["out"].isnan().nonzero().tolist() == [[0, 2], [1, 2], [2, 2]]


def test_wrong_input_is_refused_and_read_nowhere(emulate):
    graph = ragged([10, 20], 0, 5)
    given = {
        "projected": torch.randn(30, 2, 8),
        "bias": torch.zeros(8),
        "shift": torch.zeros(2, 8, dtype=torch.float64),
    }
    graph["neighbors"][11, 3] = 20
    found = emulate("edge_layer", **graph, **given, slope=SLOPE)
    assert found["refusal"].tolist() == [-1, 58, -1]
    for start, size in ((10, 21), (-1, 20), (31, 1), (10, -3), (9, 20)):
        tables = {"starts": torch.tensor([0, start]), "sizes": torch.tensor([10, size])}
        found = emulate("edge_layer", **{**graph, **tables}, **given, slope=SLOPE)
        assert found["refusal"][0] == 1


@pytest.mark.parametrize(
    ("dtype", "half"), [(torch.float32, False), (torch.float32, True), (torch.float64, False)]
)
@pytest.mark.parametrize(
    ("rows", "widths", "outputs"), [(40, (3, 4), 33), (7, (65, 0), 1), (0, (2, 2), 5)]
)
def test_row_layer(emulate, rows, widths, outputs, half, dtype):
    given = layer(rows, widths, outputs, dtype)
    parts, weight, bias = [given["first"], given["second"]], given["weight"], torch.randn(outputs)
    bias = bias.to(dtype)
    placed = emulate("place_parts", **given, half=int(half))["placed"]
    side_by_side = torch.cat(parts, dim=1)
    assert same_bits(placed, side_by_side.bfloat16().to(dtype) if half else side_by_side)
    found = emulate("activate_rows", product=product(placed, weight, half), bias=bias, slope=SLOPE)
    expected = _row_layer_torch(parts, weight, bias, SLOPE, half)
    assert_near(found["out"], expected, TOLERANCES[dtype])


def test_rounding_to_bfloat16_is_torchs(emulate):
    ends = [
        0.0,
        -0.0,
        torch.inf,
        -torch.inf,
        torch.nan,
        3.4e38,
        -3.4e38,
        1.00390625,
        1.01171875,
    ]
    values = torch.cat([torch.tensor(ends), torch.randn(200) * 1e3])[:, None]
    given = {"first": values, "second": values[:, :0]}
    found, expected = emulate("place_parts", **given, half=1)["placed"], values.bfloat16().float()
    assert torch.equal(found.isnan(), values.isnan())  # of which torch changes the bits
    assert same_bits(
        found.nan_to_num(9.0, torch.inf, -torch.inf),
        expected.nan_to_num(9.0, torch.inf, -torch.inf),
    )
