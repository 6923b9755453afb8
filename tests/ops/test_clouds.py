"""What is refused, with which exception and which words; and which row belongs to which cloud."""

import re
from typing import Any

import numpy as np
import pytest
import torch

import pcclust
from pcclust.ops._clouds import cloud_of_rows, flatten
from pcclust.ops._layouts import FLOATING, INTEGERS
from tests.ops.sample_clouds import same_bits, sample_cloud

POINTS = sample_cloud("normal", 24)
BATCH = POINTS.view(4, 6, 3)
NAN, INF = torch.nan, torch.inf


def spoiled(points: torch.Tensor, *at: int, value: float = NAN) -> torch.Tensor:
    points = points.clone()
    points[at] = value
    return points


# (points, options, exception, message); every operation refuses these alike.
WRONG: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    # points
    ([[0.0, 0, 0]], {}, TypeError, "points must be a torch tensor or a NumPy array, got list"),
    (None, {}, TypeError, "points must be a torch tensor or a NumPy array, got NoneType"),
    (
        POINTS.long(),
        {},
        TypeError,
        "points must be float16, bfloat16, float32 or float64, got torch.int64",
    ),
    (POINTS > 0, {}, TypeError, "got torch.bool"),
    (POINTS.cfloat(), {}, TypeError, "got torch.complex64"),
    (POINTS[0], {}, ValueError, "points must be (N, D) or (B, N, D), got (3,)"),
    (POINTS[None, None], {}, ValueError, "points must be (N, D) or (B, N, D), got (1, 1, 24, 3)"),
    (POINTS[:0], {}, ValueError, "points is empty: (0, 3)"),
    (BATCH[:, :0], {}, ValueError, "points is empty: (4, 0, 3)"),
    (POINTS[:, :0], {}, ValueError, "points is empty: (24, 0)"),
    (spoiled(POINTS, 17), {}, ValueError, "points[17] is not finite: [nan, nan, nan]"),
    (spoiled(POINTS, 17, 1, value=INF), {}, ValueError, "points[17] is not finite: ["),
    (spoiled(BATCH, 2, 5, value=-INF), {}, ValueError, "points[2, 5] is not finite: [-inf"),
    (spoiled(POINTS.half(), 3, 0, value=INF), {}, ValueError, "points[3] is not finite: [inf"),
    # lengths of a padded batch
    (
        BATCH,
        {"lengths": torch.tensor([6, 6, 7, 1])},
        ValueError,
        "points: lengths[2]=7 is not between 1 and the padded 6",
    ),
    (BATCH, {"lengths": torch.tensor([6, 0, 6, 6])}, ValueError, "lengths[1]=0 is not between 1"),
    (BATCH, {"lengths": torch.tensor([6, 6, 6, -2])}, ValueError, "lengths[3]=-2 is not between"),
    (
        BATCH,
        {"lengths": torch.tensor([6, 6])},
        ValueError,
        "lengths of points must be (4,), got (2,)",
    ),
    (BATCH, {"lengths": torch.tensor([[6] * 4])}, ValueError, "must be (4,), got (1, 4)"),
    (
        BATCH,
        {"lengths": torch.ones(4)},
        TypeError,
        "lengths of points must be integers, got torch.float32",
    ),
    (BATCH, {"lengths": torch.ones(4).bool()}, TypeError, "must be integers, got torch.bool"),
    (
        BATCH,
        {"lengths": torch.ones(4).cfloat()},
        TypeError,
        "must be integers, got torch.complex64",
    ),
    (
        BATCH,
        {"lengths": [6, 6, 6, 6]},
        TypeError,
        "lengths of points must be a tensor of integers, got list",
    ),
    (
        POINTS,
        {"lengths": torch.tensor([24])},
        ValueError,
        "points: lengths need a (B, N, D) batch, got (24, 3)",
    ),
    (
        spoiled(BATCH, 1, 2),
        {"lengths": torch.tensor([6, 3, 6, 6])},
        ValueError,
        "points[1, 2] is not finite",
    ),
    # offsets of packed clouds
    (
        POINTS,
        {"offsets": torch.tensor([0, 10, 20])},
        ValueError,
        "offsets must go from 0 to the 24 points, got 0 to 20",
    ),
    (
        POINTS,
        {"offsets": torch.tensor([4, 24])},
        ValueError,
        "from 0 to the 24 points, got 4 to 24",
    ),
    (
        POINTS,
        {"offsets": torch.tensor([0, 15, 9, 24])},
        ValueError,
        "offsets must increase (no cloud is empty), but offsets[2]=9 follows 15",
    ),
    (POINTS, {"offsets": torch.tensor([0, 9, 9, 24])}, ValueError, "but offsets[2]=9 follows 9"),
    (
        POINTS,
        {"offsets": torch.tensor([0])},
        ValueError,
        "must be (B + 1,) with at least one cloud, got (1,)",
    ),
    (
        POINTS,
        {"offsets": torch.tensor(24)},
        ValueError,
        "offsets of points must be (B + 1,), got ()",
    ),
    (
        POINTS,
        {"offsets": torch.tensor([0.0, 24])},
        TypeError,
        "offsets of points must be integers, got torch.float32",
    ),
    (
        BATCH,
        {"offsets": torch.tensor([0, 24])},
        ValueError,
        "offsets need packed (ΣN, D) points, got (4, 6, 3)",
    ),
    (
        BATCH,
        {"lengths": torch.full((4,), 6), "offsets": torch.tensor([0, 24])},
        ValueError,
        "give lengths (padded) or offsets (packed), not both",
    ),
    # queries
    (POINTS, {"queries": POINTS[:, :2]}, ValueError, "queries have 2 dimensions, points have 3"),
    (
        POINTS,
        {"queries": POINTS.double()},
        TypeError,
        "queries are torch.float64, points are torch.float32",
    ),
    (POINTS, {"queries": BATCH}, ValueError, "queries hold 4 clouds, points 1"),
    (POINTS, {"queries": POINTS.to("meta")}, ValueError, "queries are on meta, points on cpu"),
    (POINTS, {"queries": spoiled(POINTS, 5)}, ValueError, "queries[5] is not finite"),
    (POINTS, {"queries": POINTS[:0]}, ValueError, "queries is empty: (0, 3)"),
    (
        POINTS,
        {"queries": POINTS, "exclude_self": True},
        ValueError,
        "exclude_self needs the points to be their own queries",
    ),
    (
        POINTS,
        {"query_offsets": torch.tensor([0, 24])},
        ValueError,
        "query_lengths and query_offsets need queries",
    ),
    (
        BATCH,
        {"queries": BATCH, "query_lengths": torch.tensor([9, 6, 6, 6])},
        ValueError,
        "queries: lengths[0]=9 is not between 1 and the padded 6",
    ),
]


@pytest.mark.parametrize(
    "call", [pcclust.knn, lambda p, k, **o: pcclust.ball_query(p, 0.5, k, **o)]
)
@pytest.mark.parametrize(("points", "options", "error", "message"), WRONG)
def test_wrong_points_are_refused(call, points, options, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        call(points, 1, **options)
    as_arrays = {name: array_of(value) for name, value in options.items()}
    named_torch = "torch." in message or "meta" in message
    if isinstance(points, torch.Tensor) and not named_torch:
        with pytest.raises(error, match=re.escape(message)):
            call(points.numpy(), 1, **as_arrays)


def array_of(value: Any) -> Any:
    on_cpu = isinstance(value, torch.Tensor) and not value.is_meta
    return value.numpy() if on_cpu else value


@pytest.mark.parametrize(
    ("k", "error", "message"),
    [
        (2000, ValueError, "k=2000 exceeds the 6 points of cloud 0"),
        (0, ValueError, "k=0 must be at least 1"),
        (-3, ValueError, "k=-3 must be at least 1"),
        (2.0, TypeError, "k must be an int, got float"),
        (True, TypeError, "k must be an int, got bool"),
        (None, TypeError, "k must be an int, got NoneType"),
        (torch.tensor(2), TypeError, "k must be an int, got Tensor"),
    ],
)
def test_a_wrong_k_is_refused(k, error, message) -> None:
    for points in (BATCH, BATCH[0]):
        with pytest.raises(error, match=re.escape(message)):
            pcclust.knn(points, k)
    if error is TypeError or k <= 0:
        named = message.replace("k", "max_neighbors", 1)
        with pytest.raises(error, match=re.escape(named)):
            pcclust.ball_query(BATCH, 0.5, k)


def test_too_large_a_k_names_the_cloud() -> None:
    lengths = torch.tensor([6, 6, 6, 4])
    with pytest.raises(ValueError, match=re.escape("k=5 exceeds the 4 points of cloud 3")):
        pcclust.knn(BATCH, 5, lengths=lengths)
    with pytest.raises(ValueError, match=re.escape("k=4 exceeds the 3 other points of cloud 3")):
        pcclust.knn(BATCH, 4, lengths=lengths, exclude_self=True)
    with pytest.raises(ValueError, match=re.escape("k=8 exceeds the 7 points of cloud 1")):
        pcclust.knn(POINTS, 8, offsets=torch.tensor([0, 8, 15, 24]))
    with pytest.raises(ValueError, match=re.escape("k=1 exceeds the 0 other points of cloud 0")):
        pcclust.knn(POINTS[:1], 1, exclude_self=True)
    with pytest.raises(ValueError, match=re.escape("k=7 exceeds the 6 points of cloud 0")):
        pcclust.knn(BATCH[:0], 7)
    with pytest.raises(ValueError, match=re.escape("k=25 exceeds the 24 points of cloud 0")):
        pcclust.knn(POINTS.to("meta"), 25)
    assert pcclust.knn(BATCH, 4, lengths=lengths).indices.shape == (4, 6, 4)


@pytest.mark.parametrize(
    ("radius", "error", "message"),
    [
        (-1.0, ValueError, "radius=-1.0 must be at least 0"),
        (-1e-300, ValueError, "radius=-1e-300 must be at least 0"),
        (float("nan"), ValueError, "radius=nan must be at least 0"),
        ("wide", TypeError, "radius must be a number, got str"),
        (None, TypeError, "radius must be a number, got NoneType"),
        (True, TypeError, "radius must be a number, got bool"),
        (1j, TypeError, "radius must be a number, got complex"),
        (torch.ones(2), TypeError, "radius must be a number, got Tensor"),
    ],
)
def test_a_wrong_radius_is_refused(radius, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        pcclust.ball_query(POINTS, radius, 3)


def test_numbers_of_numpy_are_numbers() -> None:
    expected = pcclust.ball_query(POINTS, 1.0, 4)
    for radius in (1, np.float32(1), np.int64(1)):
        assert same_bits(pcclust.ball_query(POINTS, radius, np.int32(4)).indices, expected.indices)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_any_integers_serve_as_lengths_and_offsets(dtype: torch.dtype) -> None:
    lengths, offsets = torch.tensor([6, 2, 6, 3]).to(dtype), torch.tensor([0, 10, 24]).to(dtype)
    for found, expected in (
        (pcclust.knn(BATCH, 2, lengths=lengths), pcclust.knn(BATCH, 2, lengths=lengths.long())),
        (pcclust.knn(POINTS, 2, offsets=offsets), pcclust.knn(POINTS, 2, offsets=offsets.long())),
    ):
        assert same_bits(found.indices, expected.indices)


def test_padding_may_hold_anything_and_sums_may_overflow(backend: str) -> None:
    lengths = torch.tensor([6, 2, 6, 6])
    padded = spoiled(spoiled(BATCH, 1, 2), 1, 5, value=-INF)
    expected = pcclust.knn(BATCH, 2, lengths=lengths)
    found = pcclust.knn(padded, 2, lengths=lengths)
    assert same_bits(found.indices, expected.indices)
    assert same_bits(found.distances, expected.distances)
    pcclust.knn(torch.full((8, 3), torch.finfo(torch.float32).max), 2)


@pytest.mark.parametrize("dtype", FLOATING)
def test_rows_are_laid_out_in_working_precision(dtype: torch.dtype) -> None:
    clouds = flatten(BATCH.to(dtype), torch.tensor([6, 2, 6, 3]))
    expected = dtype if dtype == torch.float64 else torch.float32
    assert same_bits(clouds.rows, POINTS.to(dtype).to(expected))
    assert (clouds.starts.tolist(), clouds.sizes.tolist()) == ([0, 6, 12, 18], [6, 2, 6, 3])
    assert (clouds.shape, clouds.packed, clouds.smallest) == ((4, 6), False, 2)


def test_every_row_knows_its_cloud() -> None:
    padded = flatten(BATCH, torch.tensor([6, 2, 1, 6]))
    expected = [0] * 6 + [1] * 2 + [-1] * 4 + [2] + [-1] * 5 + [3] * 6
    assert cloud_of_rows(padded).tolist() == expected
    packed = flatten(POINTS, offsets=torch.tensor([0, 1, 20, 24]))
    assert cloud_of_rows(packed).tolist() == [0] + [1] * 19 + [2] * 4
    assert cloud_of_rows(flatten(POINTS)).tolist() == [0] * 24
    assert cloud_of_rows(flatten(BATCH[:0])).tolist() == []
