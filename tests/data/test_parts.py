import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pcclust.data.parts import cut, cut_parts, draw_parts, halves, random_planes

LEVEL = 1e-6


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def ball(count=8, points=200, seed=1):
    return torch.randn(count, points, 3, generator=seeded(seed))


def slow_sides(points, planes):
    return np.array(
        [[[float(np.dot(p, n)) > 0 for p in cloud] for n in normals]
         for cloud, normals in zip(points.double().numpy(), planes.double().numpy(), strict=True)]
    )  # fmt: skip


def test_cut_is_the_sign_of_the_scalar_product():
    points, planes = ball(3, 40).double(), ball(3, 5, seed=2).double()
    assert np.array_equal(cut(points, planes).numpy(), slow_sides(points, planes))


@pytest.mark.parametrize("normals", ["isotropic", "cube"])
def test_planes_leave_enough_points_on_both_sides(normals):
    # A flat, lopsided cloud that most planes cut badly.
    points = ball(30, 100) * torch.tensor([5.0, 1.0, 0.2]) + torch.tensor([1.0, 0.3, 0.0])
    planes = random_planes(points, 7, min_points=40, normals=normals, generator=seeded())
    sizes = slow_sides(points, planes).sum(axis=2)
    assert planes.shape == (30, 7, 3)
    assert sizes.min() >= 40
    assert sizes.max() <= 60
    assert torch.allclose(planes.norm(dim=2), torch.ones(30, 7), atol=1e-6)
    again = random_planes(points, 7, min_points=40, normals=normals, generator=seeded())
    assert torch.equal(planes, again)


def test_many_clouds_are_cut_as_well_as_few():
    points = ball(1100, 24) * torch.tensor([5.0, 1.0, 0.2]) + torch.tensor([1.0, 0.3, 0.0])
    planes = random_planes(points, 2, min_points=8, generator=seeded())
    sizes = cut(points, planes).sum(dim=2)
    assert planes.shape == (1100, 2, 3)
    assert int(sizes.min()) >= 8
    assert int(sizes.max()) <= 16


def symmetric_cloud():
    """Points that every plane through the origin cuts in half, so that none is rejected."""
    half = ball(1, 50)
    return torch.cat([half, -half], dim=1)


def test_isotropic_normals_are_uniform_on_the_sphere():
    planes = random_planes(symmetric_cloud(), 20_000, generator=seeded())[0].double()
    for axis in range(3):
        assert stats.kstest(planes[:, axis], stats.uniform(-1, 2).cdf).pvalue > LEVEL
    azimuth = torch.atan2(planes[:, 1], planes[:, 0])
    assert stats.kstest(azimuth, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > LEVEL


def test_cube_normals_favour_the_diagonals():
    cloud = symmetric_cloud()
    diagonal = torch.ones(3, dtype=torch.float64) / 3**0.5
    fraction = {}
    for normals in ("isotropic", "cube"):
        planes = random_planes(cloud, 20_000, normals=normals, generator=seeded())[0].double()
        fraction[normals] = float(((planes.abs() @ diagonal) > 0.95).double().mean())
    # The octant's cap has area 2π(1 - 0.95), 8 of them on the sphere: 8 · 0.05 / 2.
    assert fraction["isotropic"] == pytest.approx(0.2, abs=0.015)
    assert fraction["cube"] > 1.3 * fraction["isotropic"]


def test_default_minimum_is_a_quarter():
    points = ball(5, 64) + 0.5
    planes = random_planes(points, 10, generator=seeded())
    sizes = cut(points, planes).sum(dim=2)
    assert int(sizes.min()) >= 16
    assert int(sizes.max()) <= 48


@pytest.mark.parametrize("replacement", [True, False])
def test_halves_are_complementary(replacement):
    points = ball(20, 200)
    planes = random_planes(points, min_points=60, generator=seeded())[:, 0]
    parts = halves(points, planes, 50, replacement=replacement, generator=seeded())
    assert parts.shape == (20, 2, 50, 3)
    height = (parts * planes[:, None, None]).sum(dim=3)
    assert bool((height[:, 0] > 0).all())
    assert bool((height[:, 1] <= 0).all())
    for cloud, both in zip(points, parts, strict=True):
        members = {row.numpy().tobytes() for row in cloud}
        drawn = [row.numpy().tobytes() for row in both.reshape(-1, 3)]
        assert set(drawn) <= members
        assert (len(set(drawn)) == 100) != replacement or replacement
    assert torch.equal(
        parts, halves(points, planes, 50, replacement=replacement, generator=seeded())
    )


@pytest.mark.parametrize("replacement", [True, False])
def test_every_point_of_a_side_is_drawn_equally_often(replacement):
    points = ball(1, 40).expand(3000, 40, 3)
    planes = random_planes(points[:1], min_points=10, generator=seeded())[:, 0].expand(3000, 3)
    parts = halves(points, planes, 8, replacement=replacement, generator=seeded())
    positive = cut(points[:1], planes[:1, None])[0, 0]
    for side, members in ((0, points[0][positive]), (1, points[0][~positive])):
        often = (parts[:, side].reshape(-1, 1, 3) == members).all(dim=2).sum(dim=0)
        assert int(often.sum()) == 3000 * 8
        assert stats.chisquare(often).pvalue > LEVEL


def test_parts_lie_on_the_side_that_their_id_names():
    points = ball(40, 120)
    planes = random_planes(points, 15, min_points=20, generator=seeded())
    parts = draw_parts(points, planes, 3, 64, generator=seeded())
    assert parts.points.shape == (40, 3, 64, 3)
    for cloud in range(40):
        for part in range(3):
            plane, side = divmod(int(parts.ids[cloud, part]), 2)
            height = parts.points[cloud, part] @ planes[cloud, plane]
            assert bool((height <= 0).all() if side else (height > 0).all())
    many = draw_parts(points[:1], planes[:1], 30_000, 1, generator=seeded()).ids
    assert stats.chisquare(torch.bincount(many.flatten(), minlength=30)).pvalue > LEVEL


@settings(deadline=None, max_examples=40)
@given(
    count=st.integers(1, 6),
    points=st.integers(2, 40),
    parts=st.integers(1, 4),
    num_points=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_parts_of_any_size_are_points_of_their_side(count, points, parts, num_points, seed):
    half = ball(count, points, seed)
    clouds = torch.cat([half, -half], dim=1)  # so that every plane has points on both sides
    planes = random_planes(clouds, 3, min_points=1, generator=seeded(seed))
    drawn = draw_parts(clouds, planes, parts, num_points, generator=seeded(seed))
    sides = slow_sides(clouds, planes)
    for cloud in range(count):
        for part, number in zip(drawn.points[cloud], drawn.ids[cloud].tolist(), strict=True):
            of_side = sides[cloud, number // 2] != bool(number % 2)
            members = {row.tobytes() for row in clouds[cloud].numpy()[of_side]}
            assert {row.tobytes() for row in part.numpy()} <= members


def test_cut_parts_are_all_points_of_their_side_and_no_others():
    points = ball(5)
    planes = random_planes(points, 4, generator=seeded())
    found = cut_parts(points, planes, 3, generator=seeded(2))
    assert found.points.shape == (5, 3, int(found.lengths.max()), 3)
    for cloud in range(5):
        for part in range(3):
            plane, negative = divmod(int(found.ids[cloud, part]), 2)
            positive = slow_sides(points[cloud : cloud + 1], planes[cloud : cloud + 1])[0, plane]
            expected = points[cloud][~positive if negative else positive]
            length = int(found.lengths[cloud, part])
            assert torch.equal(found.points[cloud, part, :length], expected)
            assert not found.points[cloud, part, length:].any()
    assert len(set(found.lengths.flatten().tolist())) > 3


def test_shapes_too_small_or_off_centre_to_cut():
    with pytest.raises(ValueError, match=r"min_points=60 between 1 and half of the 100 points"):
        random_planes(ball(1, 100), min_points=60)
    apart = torch.cat([ball(1, 100), ball(1, 100) * 0.01 + 50])
    with pytest.raises(ValueError, match=r"cloud 1: no plane with at least 25 of its 100 points"):
        random_planes(apart, generator=seeded())
    points = ball(2, 100)
    with pytest.raises(ValueError, match=r"part 0 of cloud 0 has \d+ points, at least 90"):
        halves(points, torch.ones(2, 3), 90, replacement=False)
    with pytest.raises(ValueError, match=r"part 1 of cloud 0 has 0 points, at least 1 are"):
        halves(points.abs() + 1, torch.ones(2, 3), 10)
    with pytest.raises(ValueError, match=r"num_points=0 must be at least 1"):
        halves(points, torch.ones(2, 3), 0)
    with pytest.raises(ValueError, match=r"normals='gauss' is neither"):
        random_planes(points, normals="gauss")
