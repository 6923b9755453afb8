"""`pcclust.ball_query` against its definition: every backend, dtype, layout and kind of cloud."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import pcclust
from tests.ops import reference_neighbors as reference
from tests.ops.sample_clouds import DTYPES, KINDS, same_bits, sample_cloud, working

pytestmark = pytest.mark.usefixtures("backend")


def assert_ball(
    points: Tensor, radius: float, most: int, queries: Tensor | None = None, **options: bool
) -> None:
    """Compares one cloud with the definition, bit for bit."""
    found = pcclust.ball_query(points, radius, most, queries=queries, **options)
    asked = None if queries is None else working(queries)
    expected = reference.ball_query(working(points), radius, most, asked, **options)
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


def middle_radius(points: Tensor) -> float:
    """Returns a radius that holds some points of a cloud and not others, if there is one."""
    middle = points[: len(points) // 2 + 1].double()
    return float((middle[0] - middle).norm(dim=1).median())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_follows_the_definition(kind: str, dtype: torch.dtype) -> None:
    points = sample_cloud(kind, 50, dtype=dtype)
    for radius in (0.0, middle_radius(points), math.inf):
        for most in (1, 16, 80):
            assert_ball(points, radius, most)
        assert_ball(points, radius, 10, exclude_self=True)
        assert_ball(points, radius, 10, queries=sample_cloud(kind, 11, dtype=dtype, seed=1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dims", [1, 2, 5, 8])
def test_follows_the_definition_up_to_eight_dimensions(kind: str, dims: int) -> None:
    for dtype in (torch.float32, torch.float64):
        points = sample_cloud(kind, 30, dims, dtype)
        assert_ball(points, middle_radius(points), 9)
        assert_ball(points, middle_radius(points), 30, exclude_self=True)


@pytest.mark.parametrize("dims", [9, 64])
def test_many_dimensions_are_right_to_rounding(dims: int) -> None:
    for kind in ("normal", "duplicates", "two_scales", "far_away"):
        points = sample_cloud(kind, 70, dims)
        wide = points.double()
        exact = (wide[:, None] - wide[None]).square().sum(-1)
        values = exact.unique()
        gap = int(values.diff().argmax())  # no distance is near the radius, so counts are certain
        radius = float(((values[gap] + values[gap + 1]) / 2).sqrt())
        ball = pcclust.ball_query(points, radius, 70)
        assert same_bits(ball.counts, (exact <= radius**2).sum(1))
        inside = ball.indices >= 0
        rounding = 4 * dims * torch.finfo(torch.float32).eps
        best = exact.sort(dim=1).values[inside]
        torch.testing.assert_close(ball.distances[inside].double(), best, rtol=rounding, atol=0)


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    most=st.integers(1, 80),
    radius=st.one_of(st.floats(0, 4), st.just(math.inf), st.floats(0, allow_infinity=False)),
    exclude_self=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_packed_clouds(
    kind: str,
    dtype: torch.dtype,
    sizes: list[int],
    most: int,
    radius: float,
    exclude_self: bool,
    seed: int,
) -> None:
    clouds = [sample_cloud(kind, n, 3, dtype, seed + i) for i, n in enumerate(sizes)]
    offsets = np.array([0, *np.cumsum(sizes)])
    found = pcclust.ball_query(
        torch.cat(clouds),
        radius,
        most,
        offsets=torch.from_numpy(offsets),
        exclude_self=exclude_self,
    )
    for cloud, start, end in zip(clouds, offsets[:-1], offsets[1:], strict=True):
        distances, indices, counts = reference.ball_query(
            working(cloud), radius, most, exclude_self=exclude_self
        )
        assert same_bits(found.counts[start:end], counts)
        assert same_bits(found.distances[start:end], distances)
        assert same_bits(found.indices[start:end], np.where(indices >= 0, indices + start, -1))


@given(batch=st.integers(0, 3), count=st.integers(1, 25), seed=st.integers(0, 99))
def test_any_padded_batch(batch: int, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, count + 1, batch)
    points = torch.full((batch, count, 3), torch.nan)
    for b, n in enumerate(lengths):
        points[b, :n] = sample_cloud("lattice", int(n), seed=seed + b)
    found = pcclust.ball_query(points, 0.125, 5, lengths=torch.from_numpy(lengths))
    assert found.distances.shape == (batch, count, 5)
    assert found.counts.shape == (batch, count)
    for b, n in enumerate(lengths):
        expected = reference.ball_query(points[b, :n].numpy(), 0.125, 5)
        assert all(same_bits(a[b, :n], e) for a, e in zip(found, expected, strict=True))
        assert (found.indices[b, n:] == -1).all()
        assert (found.counts[b, n:] == 0).all()
        assert found.distances[b, n:].isposinf().all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [0.1, 0.3, 1 / 3, 2.0, 7e-5])
def test_the_ball_is_closed(step: float, dtype: torch.dtype) -> None:
    axes = torch.cat([torch.zeros(1, 3, dtype=dtype), step * torch.eye(3, dtype=dtype)])
    radius = float(axes.max())
    assert pcclust.ball_query(axes, radius, 4, queries=axes[:1]).counts.item() == 4
    if dtype in (torch.float32, torch.float64):
        # What the user writes is rounded as the points are.
        assert pcclust.ball_query(axes, step, 4, queries=axes[:1]).counts.item() == 4
    smaller = float(np.nextafter(working(axes).dtype.type(radius), 0))
    assert pcclust.ball_query(axes, smaller, 4, queries=axes[:1]).counts.item() == 1


def test_radius_zero_finds_duplicates() -> None:
    points = torch.tensor([[1.0, 2, 3], [0, 0, 0], [1, 2, 3], [-0.0, 0, 0]])
    ball = pcclust.ball_query(points, 0.0, 3)
    assert ball.indices.tolist() == [[0, 2, -1], [1, 3, -1], [0, 2, -1], [1, 3, -1]]
    assert ball.counts.tolist() == [2, 2, 2, 2]


def test_a_lonely_point_has_no_neighbour_but_itself() -> None:
    point = torch.ones(1, 3)
    assert pcclust.ball_query(point, 1.0, 2).counts.tolist() == [1]
    ball = pcclust.ball_query(point, math.inf, 2, exclude_self=True)
    assert (ball.indices.tolist(), ball.counts.tolist()) == ([[-1, -1]], [0])
    assert ball.distances.isposinf().all()


def test_the_nearest_are_kept_not_the_first() -> None:
    line = torch.zeros(500, 3)
    line[:, 0] = torch.arange(500, 0, -1)
    ball = pcclust.ball_query(line, 1000.0, 3, queries=torch.zeros(1, 3))
    assert ball.indices.tolist() == [[499, 498, 497]]


def test_a_full_ball_equals_knn() -> None:
    points = sample_cloud("lattice", 200)
    ball, near = pcclust.ball_query(points, math.inf, 30), pcclust.knn(points, 30)
    assert same_bits(ball.indices, near.indices)
    assert same_bits(ball.distances, near.distances)


def test_real_shapes(modelnet40: np.ndarray) -> None:
    points = torch.from_numpy(modelnet40[::50])
    found = pcclust.ball_query(points, 0.15, 32)
    for b, cloud in enumerate(points.numpy()):
        expected = reference.ball_query(cloud, 0.15, 32, cloud[::64])
        assert all(same_bits(a[b, ::64], e) for a, e in zip(found, expected, strict=True))
