"""The CUDA kernels of `segment_pool`, emulated, against the torch twins."""

import pytest
import torch
from torch import Tensor

from pcclust.ops.linear_pool import _linear_pool_torch
from pcclust.ops.segment_pool import _row_moments_torch, _segment_pool_torch
from pcclust.ops.segment_pull import _segment_pull_torch
from tests.ops.sample_clouds import same_bits

pytestmark = pytest.mark.emulated

NOTHING_WRONG = [-1] * 4
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
SLOPE = 0.2


def ragged(
    sizes: list[int], channels: int, dtype: torch.dtype, *, gap: int = 0, listed: bool = False
) -> dict[str, Tensor | None]:
    """Returns rows in segments with some in none behind each, and a scale and shift."""
    generator = torch.Generator().manual_seed(channels)
    counts = torch.tensor(sizes, dtype=torch.int64)
    starts = (counts + gap).cumsum(dim=0) - counts - gap
    rows = int((counts + gap).sum())
    drawn = [torch.randn(n, generator=generator).to(dtype) for n in (rows * channels, channels)]
    return {
        "values": drawn[0].view(rows, channels),
        "scale": drawn[1],
        "shift": torch.randn(channels, generator=generator).to(dtype),
        "members": torch.randperm(rows, generator=generator) if listed else None,
        "starts": starts,
        "sizes": counts,
    }


def terms(given: dict[str, Tensor | None]) -> dict[str, Tensor]:
    """Returns random gradients of what is pooled."""
    values, sizes = given["values"], given["sizes"]
    assert values is not None
    assert sizes is not None
    shape = (len(sizes), values.shape[1])
    pulls = {name: torch.randn(shape).to(values) for name in ("to_maxima", "to_rows")}
    return pulls | {n: torch.randn(shape[1]).to(values) for n in ("linear", "constant")}


def assert_near(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    assert torch.allclose(found, expected, rtol=0, atol=tolerance * scale)


SHAPES = [
    ([40], 5, 0, False),
    ([33, 1, 0, 130], 64, 3, True),
    ([0, 128, 129, 7], 33, 0, False),
    ([300, 260], 1, 2, True),
    ([3] * 40, 7, 1, False),
]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("sizes", "channels", "gap", "listed"), SHAPES)
def test_both_directions(emulate, sizes, channels, gap, listed, dtype):
    given = ragged(sizes, channels, dtype, gap=gap, listed=listed)
    found = emulate("segment_pool", **given, slope=SLOPE)
    assert found["refusal"].tolist() == NOTHING_WRONG
    maxima, argmax, *sums = _segment_pool_torch(*given.values(), SLOPE)
    assert_near(found["maxima"], maxima, TOLERANCES[dtype])
    assert torch.equal(found["argmax"], argmax)
    for name, expected in zip(("means", "slopes", "products"), sums, strict=True):
        assert_near(found[name], expected, TOLERANCES[dtype])
    pulls = terms(given)
    found = emulate("segment_pull", **given, argmax=argmax, **pulls, slope=SLOPE)
    assert found["refusal"].tolist() == NOTHING_WRONG
    expected = _segment_pull_torch(*given.values(), argmax, *pulls.values(), SLOPE)
    assert_near(found["gradient"], expected, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
def test_linear_pool_is_a_product_that_is_pooled(emulate, dtype):
    """As on a device, but for the product; members may repeat."""
    given = ragged([33, 0, 130], 40, dtype, gap=1)
    x, weight, bias = given["values"][:, :9], given["values"][:40, :9], given["shift"]
    members = torch.randint(0, len(x), (len(x),))
    pooled = {"values": x @ weight.T, "scale": torch.ones_like(bias), "members": members}
    found = emulate("segment_pool", **{**given, **pooled}, slope=SLOPE)
    tables = (members, given["starts"], given["sizes"])
    layer = ([x.contiguous()], weight.contiguous(), bias)
    for name, twin in zip(
        ("maxima", "means"), _linear_pool_torch(*layer, *tables, SLOPE, False), strict=True
    ):
        assert_near(found[name], twin, TOLERANCES[dtype])


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("rows", "channels"), [(0, 3), (1, 1), (700, 33), (70, 64)])
def test_row_moments(emulate, rows, channels, dtype):
    values = torch.randn(rows, channels, dtype=dtype) * 1e30  # float32 does not hold the squares
    found = emulate("row_moments", values=values)["moments"]
    torch.testing.assert_close(found, _row_moments_torch(values), rtol=1e-11, atol=0)


def test_the_first_of_equals_counts_and_nan_stays(emulate):
    given = ragged([500, 20], 4, torch.float32)
    values = given["values"]
    values[:, 0] = 1.0
    values[450:500, 1] = values[10, 1] = 9.0 * given["scale"][1].sign()
    values[300, 2] = values[310, 2] = values[7, 2] = torch.nan
    values[510, 3] = torch.nan
    values[:500, 3] = -torch.inf * given["scale"][3].sign()
    found = emulate("segment_pool", **given, slope=SLOPE)
    _, argmax, *_ = _segment_pool_torch(*given.values(), SLOPE)
    assert argmax.tolist()[0] == [0, 10, 7, 0]
    assert torch.equal(found["argmax"], argmax)
    for name in ("maxima", "means", "products"):
        seen = found[name].isnan().nonzero().tolist()
        assert seen == [[0, 2], [1, 3]], name


def test_no_segments_and_no_channels(emulate):
    for sizes, channels in (([], 3), ([5, 6], 0), ([0, 0], 3)):
        given = ragged(sizes, channels, torch.float32, gap=2)
        found = emulate("segment_pool", **given, slope=SLOPE)
        assert found["refusal"].tolist() == NOTHING_WRONG
        shape = (len(sizes), channels)
        assert torch.equal(
            found["maxima"], torch.zeros(shape) if not sum(sizes) else torch.empty(shape)
        )
        argmax = torch.full(shape, -1, dtype=torch.int32)
        found = emulate("segment_pull", **given, argmax=argmax, **terms(given), slope=SLOPE)
        assert same_bits(found["gradient"], torch.zeros_like(given["values"]))


WRONG_TABLES = [
    ([0, 10], [10, 21]),
    ([0, -1], [10, 20]),
    ([0, 31], [10, 1]),
    ([0, 10], [10, -3]),
    ([0, 9], [10, 3]),
    ([0, 2**62], [10, 2**62]),
    ([0, 10], [10, 2**40]),
]


@pytest.mark.parametrize(("starts", "sizes"), WRONG_TABLES)
def test_wrong_tables_are_refused_and_read_nowhere(emulate, starts, sizes):
    given = ragged([10, 20], 8, torch.float32, listed=starts[1] != 31)
    given |= {"starts": torch.tensor(starts), "sizes": torch.tensor(sizes)}
    assert emulate("segment_pool", **given, slope=SLOPE)["refusal"].tolist() == [1, -1, -1, -1]
    argmax = torch.zeros(2, 8, dtype=torch.int32)
    found = emulate("segment_pull", **given, argmax=argmax, **terms(given), slope=SLOPE)
    assert found["refusal"].tolist() == [1, -1, -1, -1]


def test_wrong_members_and_places_are_refused(emulate):
    given = ragged([10, 20], 8, torch.float32, gap=1, listed=True)
    argmax = torch.zeros(2, 8, dtype=torch.int32)
    argmax[1, 3] = 20
    wrong = given | {"members": given["members"].clone()}
    wrong["members"][10] = 32  # in no segment
    assert emulate("segment_pool", **wrong, slope=SLOPE)["refusal"].tolist() == [-1, 10, -1, -1]
    wrong["members"][15] = -1
    wrong["members"][3] = twice = wrong["members"][25]
    found = emulate("segment_pull", **wrong, argmax=argmax, **terms(given), slope=SLOPE)
    assert found["refusal"].tolist() == [-1, 10, int(twice), 1]
