import math

import numpy as np
import pytest
import torch
from scipy import stats

from pcclust.data.transforms import (
    Center,
    Compose,
    Dropout,
    Jitter,
    Resample,
    RotateSO3,
    RotateUp,
    Scale,
    Shift,
    SmallRotation,
    UnitSphere,
    euler_rotation,
    rotation_about,
    turn,
)

ALL = [
    Center(),
    UnitSphere(),
    RotateUp("y"),
    RotateSO3(),
    SmallRotation(),
    Jitter(),
    Scale(),
    Scale(per_axis=True),
    Shift(),
    Dropout(),
    Resample(40),
    Resample(90, replacement=True),
]
# Distributions are tested at a level that a right sampler fails once in a million seeds.
LEVEL = 1e-6


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def batch(count=6, points=64, seed=1):
    return torch.randn(count, points, 3, generator=seeded(seed))


def rotations_of(transform, count):
    """What a transform turns the unit vectors to: row j of the result is R e_j."""
    return transform(torch.eye(3).expand(count, 3, 3).contiguous(), seeded()).double().mT


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_same_seed_same_bits_and_the_input_stays(transform):
    points = batch()
    before = points.clone()
    first, again = transform(points, seeded(3)), transform(points, seeded(3))
    assert torch.equal(first, again)
    assert torch.equal(points, before)
    assert first.is_contiguous()
    if not isinstance(transform, (Center, UnitSphere)):
        assert not torch.equal(first, transform(points, seeded(4)))
        assert not torch.equal(first[0] - first[1], points[0, : len(first[0])] - points[1, :1])


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_float64_stays_float64(transform):
    assert transform(batch().double(), seeded()).dtype == torch.float64


@pytest.mark.parametrize("transform", ALL, ids=repr)
def test_wrong_points_are_refused(transform):
    with pytest.raises(ValueError, match=r"must be a batch \(B, N, 3\), got \(64, 3\); a single"):
        transform(torch.rand(64, 3), seeded())
    with pytest.raises(ValueError, match=r"got \(2, 64, 2\)"):
        transform(torch.rand(2, 64, 2), seeded())
    with pytest.raises(TypeError, match=r"got torch.int64"):
        transform(torch.zeros(2, 64, 3, dtype=torch.int64), seeded())


def test_center_and_unit_sphere():
    points = batch() * 7 + 3
    assert float(Center()(points).mean(dim=1).abs().max()) < 1e-5
    sphere = UnitSphere()(points)
    assert float(sphere.mean(dim=1).abs().max()) < 1e-6
    assert torch.allclose(sphere.norm(dim=2).amax(dim=1), torch.ones(6))
    one_point = torch.full((1, 5, 3), 4.0)
    assert torch.equal(UnitSphere()(one_point), torch.zeros(1, 5, 3))


def test_turn_is_the_matrix_times_each_point():
    points = batch(3, 5).double()
    rotations = euler_rotation(torch.rand(3, 3, dtype=torch.float64, generator=seeded()))
    expected = torch.stack(
        [torch.stack([r @ p for p in c]) for r, c in zip(rotations, points, strict=True)]
    )
    assert torch.allclose(turn(points, rotations), expected, atol=1e-12)


def test_rotation_about_each_axis_is_counter_clockwise():
    quarter = torch.tensor([math.pi / 2], dtype=torch.float64)
    x, y, z = torch.eye(3, dtype=torch.float64)
    for axis, start, end in (("x", y, z), ("y", z, x), ("z", x, y)):
        assert torch.allclose(rotation_about(axis, quarter)[0] @ start, end, atol=1e-12)
    with pytest.raises(ValueError, match=r"'x', 'y' or 'z', got 'up'"):
        rotation_about("up", quarter)


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_rotation_about_the_up_axis_is_uniform(axis):
    rotations = rotations_of(RotateUp(axis), 20_000)
    k = "xyz".index(axis)
    unit = torch.eye(3, dtype=torch.float64)[k]
    assert torch.allclose(rotations @ unit, unit.expand(20_000, 3), atol=1e-6)
    i, j = (k + 1) % 3, (k + 2) % 3
    angles = torch.atan2(rotations[:, j, i], rotations[:, i, i]) % (2 * math.pi)
    assert stats.kstest(angles, stats.uniform(0, 2 * math.pi).cdf).pvalue > LEVEL


def test_haar_rotations_have_the_right_angles_and_axes():
    rotations = rotations_of(RotateSO3(), 20_000)
    assert torch.allclose(torch.linalg.det(rotations), torch.ones(20_000).double(), atol=1e-5)
    cosine = ((rotations.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)
    angles = torch.acos(cosine).numpy()
    # Density (1 - cos w) / π on [0, π].
    assert stats.kstest(angles, lambda w: (w - np.sin(w)) / np.pi).pvalue > LEVEL
    for row in range(3):  # each image of an axis is uniform on the sphere (Archimedes)
        image = rotations[:, :, 2]
        assert stats.kstest(image[:, row], stats.uniform(-1, 2).cdf).pvalue > LEVEL
    azimuth = torch.atan2(rotations[:, 1, 2], rotations[:, 0, 2])
    assert stats.kstest(azimuth, stats.uniform(-math.pi, 2 * math.pi).cdf).pvalue > LEVEL


@pytest.mark.parametrize(("sampler", "mean"), [("axis_angle", 89.7), ("euler", 126.2)])
def test_samplers_of_the_literature_are_not_haar(sampler, mean):
    rotations = rotations_of(RotateSO3(sampler), 20_000)
    cosine = ((rotations.diagonal(dim1=1, dim2=2).sum(1) - 1) / 2).clamp(-1, 1)
    assert float(torch.rad2deg(torch.acos(cosine)).mean()) == pytest.approx(mean, abs=1.5)
    z = rotations[:, 2, 2]
    assert stats.kstest(z, stats.uniform(-1, 2).cdf).pvalue < LEVEL


def test_rotations_keep_distances():
    points = batch().double()
    for transform in (RotateSO3(), RotateUp("z"), SmallRotation()):
        turned = transform(points, seeded())
        for before, after in zip(points, turned, strict=True):
            assert torch.allclose(torch.pdist(after), torch.pdist(before), atol=1e-12)


def test_small_rotations_are_clipped_gaussian():
    rotations = rotations_of(SmallRotation(sigma=0.1, clip=0.15), 20_000)
    # R = Rz Ry Rx: the angle about y is -asin(R[2, 0]), those about x and z are arctangents.
    angles = torch.stack(
        [
            torch.atan2(rotations[:, 2, 1], rotations[:, 2, 2]),
            -torch.asin(rotations[:, 2, 0]),
            torch.atan2(rotations[:, 1, 0], rotations[:, 0, 0]),
        ]
    )
    assert float(angles.abs().max()) < 0.15 + 1e-6
    for angle in angles:
        clipped = angle.abs() > 0.15 - 1e-6
        assert float(clipped.double().mean()) == pytest.approx(2 * stats.norm.sf(1.5), abs=0.01)
        inside = stats.truncnorm(-1.5, 1.5, scale=0.1)
        assert stats.kstest(angle[~clipped], inside.cdf).pvalue > LEVEL


def test_jitter_is_clipped_gaussian():
    zero = torch.zeros(20, 1000, 3)
    noise = Jitter(0.01, 0.02)(zero, seeded()).flatten().double()
    assert float(noise.abs().max()) == pytest.approx(0.02)
    inside = noise[noise.abs() < 0.02 - 1e-9]
    assert stats.kstest(inside, stats.truncnorm(-2, 2, scale=0.01).cdf).pvalue > LEVEL
    free = Jitter(0.01, None)(zero, seeded()).flatten()
    assert stats.kstest(free, stats.norm(scale=0.01).cdf).pvalue > LEVEL


def test_scale_and_shift_are_uniform_per_cloud():
    ones = torch.ones(20_000, 2, 3)
    factor = Scale(0.5, 2)(ones, seeded())
    assert torch.equal(factor, factor[:, :1, :1].expand_as(factor))
    assert stats.kstest(factor[:, 0, 0], stats.uniform(0.5, 1.5).cdf).pvalue > LEVEL
    each = Scale(0.5, 2, per_axis=True)(ones, seeded())
    assert torch.equal(each[:, 0], each[:, 1])
    assert abs(float(torch.corrcoef(each[:, 0].T)[0, 1])) < 0.05
    moved = Shift(0.3)(ones, seeded()) - 1
    assert torch.equal(moved[:, 0], moved[:, 1])
    for column in moved[:, 0].T:
        assert stats.kstest(column, stats.uniform(-0.3, 0.6).cdf).pvalue > LEVEL


def test_dropout_replaces_by_the_first_point():
    points = batch(2000, 50)
    dropped = Dropout(0.5)(points, seeded())
    kept = (dropped == points).all(dim=2)
    assert bool((kept | (dropped == points[:, :1]).all(dim=2)).all())
    share = 1 - kept[:, 1:].double().mean(dim=1)
    assert float(share.mean()) == pytest.approx(0.25, abs=0.01)
    assert float(share.max()) < 0.75


@pytest.mark.parametrize("replacement", [True, False])
def test_resample_draws_points_of_the_same_cloud(replacement):
    points = batch(300, 20)
    drawn = Resample(15, replacement)(points, seeded())
    which = (drawn[:, :, None] == points[:, None]).all(dim=3)
    assert bool(which.any(dim=2).all())
    often = which.sum(dim=1)
    assert int(often.max()) > 1 if replacement else int(often.max()) == 1
    # Every point is drawn equally often, whatever its position.
    assert stats.chisquare(often.sum(dim=0)).pvalue > LEVEL


def test_resample_needs_enough_points():
    with pytest.raises(ValueError, match=r"num_points=65 exceeds the 64 points .*replacement=True"):
        Resample(65)(batch(), seeded())


def test_compose_applies_in_order():
    points = batch()
    both = Compose(Scale(2, 2), Shift(0.5))(points, seeded())
    generator = seeded()
    assert torch.equal(both, Shift(0.5)(Scale(2, 2)(points, generator), generator))
