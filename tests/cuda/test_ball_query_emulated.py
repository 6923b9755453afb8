"""The CUDA kernels of `ball_query`, emulated, against the torch twin, bit for bit."""

import math

import pytest
import torch

from tests.cuda.emulated_search import assert_ball_query, one_cloud, ragged
from tests.ops.sample_clouds import KINDS, sample_cloud

pytestmark = pytest.mark.emulated

FLOATS = (torch.float32, torch.float64)
WAYS = ("ball_query", "ball_query_grid")
RADII = (0.0, 0.1, 1.0, 1e30, math.inf)


@pytest.mark.parametrize("call", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cloud(emulate, kind, call):
    points = one_cloud(sample_cloud(kind, 150))
    for radius in RADII:
        assert_ball_query(emulate, points, radius, 9, one_cloud(points.rows[::40]), call=call)
    wide = one_cloud(sample_cloud(kind, 40, dtype=torch.float64))
    assert_ball_query(emulate, wide, 0.75, 33, call=call, exclude_self=True)


# A lattice of step 1/8, so that many distances equal the radius, which is inside.
@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("max_neighbors", [1, 32, 33, 64, 65, 256, 257, 400])
def test_every_maximum(emulate, max_neighbors, dtype):
    points = one_cloud(sample_cloud("lattice", 343, dtype=dtype))
    queries = one_cloud(points.rows[[0, 171, 342]])
    for radius in (0.125, 0.5, 2.0):
        for call in WAYS if max_neighbors <= 256 else WAYS[:1]:
            assert_ball_query(emulate, points, radius, max_neighbors, queries, call=call)


@pytest.mark.parametrize("dims", [1, 2, 4, 8, 9, 33])
def test_dimensions(emulate, dims):
    for dtype in FLOATS:
        points = one_cloud(sample_cloud("normal", 140, dims, dtype))
        queries = one_cloud(sample_cloud("normal", 3, dims, dtype, seed=1))
        assert_ball_query(emulate, points, math.sqrt(dims), 20, queries)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("call", WAYS)
def test_ragged_batches(emulate, call, packed):
    points = ragged([33, 1, 40, 2], 0 if packed else 5, 3, torch.float32)
    assert_ball_query(emulate, points, 0.9, 12, call=call, packed=packed)
    assert_ball_query(emulate, points, 0.9, 300, packed=packed, exclude_self=True)
    queries = ragged([3, 9, 1, 33], 0 if packed else 2, 3, torch.float32, seed=9)
    assert_ball_query(emulate, points, 1.3, 40, queries, call=call, packed=packed)


# What is kept must be the nearest, in order of index where distances are equal.
@pytest.mark.parametrize("call", WAYS)
def test_a_full_ball_keeps_the_nearest(emulate, call):
    points = one_cloud(sample_cloud("duplicates", 200))
    assert_ball_query(emulate, points, 3.0, 5, one_cloud(points.rows[:6]), call=call)


@pytest.mark.parametrize("count", [4096, 4100])
def test_operators_take_the_grid_for_large_clouds(emulate, count):
    points = one_cloud(sample_cloud("normal", count))
    assert_ball_query(emulate, points, 0.2, 10, one_cloud(points.rows[:3]))
