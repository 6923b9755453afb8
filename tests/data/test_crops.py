"""Crops: which points are left, and how they are drawn."""

import pytest
import torch
from scipy.optimize import linprog

from pcclust.data.crops import Crop


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def clouds(count=40, points=64, seed=1, dtype=torch.float32):
    return torch.randn(count, points, 3, generator=seeded(seed), dtype=dtype)


def rows_of(cropped, cloud):
    """Which points of the cloud these are."""
    distances = torch.cdist(
        cropped.double(), cloud.double(), compute_mode="donot_use_mm_for_euclid_dist"
    )
    assert float(distances.amin(dim=1).max()) == 0
    return set(distances.argmin(dim=1).tolist())


def parted_by_a_plane(kept, lost):
    rows = torch.cat([torch.cat([kept, -torch.ones(len(kept), 1)], dim=1),
                      torch.cat([-lost, torch.ones(len(lost), 1)], dim=1)])  # fmt: skip
    found = linprog([0] * 4, rows.double().numpy(), [-1e-6] * len(rows), bounds=(None, None))
    return found.status == 0


def around_a_lost_point(kept, lost):
    to_lost, to_kept = torch.cdist(lost, lost), torch.cdist(lost, kept)
    return bool((to_lost.amax(dim=1) < to_kept.amin(dim=1)).any())


def test_what_is_lost_lies_behind_a_plane_or_around_a_point():
    points = clouds()
    planes, balls = 0, 0
    for cloud, cropped in zip(points, Crop(0.5, 0.5)(points, seeded()), strict=True):
        left = rows_of(cropped, cloud)
        assert len(left) == len(cropped) == 32
        kept = torch.tensor([row in left for row in range(64)])
        ball = around_a_lost_point(cloud[kept], cloud[~kept])
        assert ball or parted_by_a_plane(cloud[kept], cloud[~kept])
        planes, balls = planes + (not ball), balls + ball
    assert min(planes, balls) > 8  # of 40


def test_points_are_drawn_once_and_from_all_that_are_left():
    points = clouds(200, 20)
    counts = torch.zeros(20)
    for cloud, cropped in zip(points, Crop(1.0, num_points=5)(points, seeded()), strict=True):
        drawn = rows_of(cropped, cloud)
        assert len(drawn) == 5
        counts[list(drawn)] += 1
    assert float((counts / 200 - 0.25).abs().max()) < 0.15


def test_fractions_are_uniform():
    points = clouds(2000, 100)
    points[..., 0] = torch.arange(100.0)  # one point far from the next: planes leave a run of them
    points[..., 1:] *= 1e-3
    cropped = Crop(0.5, 1.0, num_points=50)(points, seeded())
    longest = cropped[..., 0].amax(dim=1) - cropped[..., 0].amin(dim=1)
    assert float(longest.min()) < 55
    assert float(longest.max()) > 95


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_same_seed_same_bits_and_the_input_stays(dtype):
    points = clouds(dtype=dtype)
    before = points.clone()
    first, again = (Crop(0.6)(points, seeded(3)) for _ in range(2))
    assert first.dtype == dtype
    assert first.shape == (40, 38, 3)
    assert torch.equal(first, again)
    assert torch.equal(points, before)
    assert not torch.equal(first, Crop(0.6)(points, seeded(4)))


@pytest.mark.parametrize("fractions", [(0, 1), (0.8, 0.7), (0.5, 1.1)])
def test_it_refuses_fractions(fractions):
    with pytest.raises(ValueError, match="0 < low <= high <= 1"):
        Crop(*fractions)


@pytest.mark.parametrize("num_points", [0, 39])
def test_it_refuses_more_points_than_are_left(num_points):
    with pytest.raises(ValueError, match=f"num_points={num_points} must be from 1 to the 38"):
        Crop(0.6, num_points=num_points)(clouds())


def test_it_refuses_what_is_no_batch():
    with pytest.raises(ValueError, match=r"\(B, N, 3\)"):
        Crop()(torch.rand(10, 3))
