import math

import pytest
import torch

from pcclust.data.rotations import random_rotations

SAMPLERS = ("haar", "axis_angle", "euler")
COUNT = 20_000


def draw(sampler, seed=0, count=COUNT):
    generator = torch.Generator().manual_seed(seed)
    return random_rotations(count, sampler=sampler, generator=generator, dtype=torch.float64)


def angles(rotations):
    # atan2 of the skew part and the trace is accurate at 0 and π, where arccos is not.
    skew = rotations - rotations.mT
    sine = torch.stack([skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0]], dim=-1).norm(dim=-1)
    return torch.atan2(sine, rotations.diagonal(dim1=-2, dim2=-1).sum(-1) - 1)


def largest_gap(sample, distribution):
    """The Kolmogorov-Smirnov statistic against a cumulative distribution function."""
    ordered = sample.sort().values
    expected = distribution(ordered)
    steps = torch.arange(len(sample) + 1, dtype=torch.float64) / len(sample)
    return max((steps[1:] - expected).max(), (expected - steps[:-1]).max()).item()


# Beyond this the statistic of 20,000 draws is seen once in 10,000 times.
LIMIT = 2.2 / math.sqrt(COUNT)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_rotations_are_orthogonal_and_proper(sampler):
    rotations = draw(sampler)
    assert (rotations @ rotations.mT - torch.eye(3)).abs().max() < 1e-14
    assert (torch.linalg.det(rotations) - 1).abs().max() < 1e-14


def test_haar_angles_have_density_one_minus_cosine_over_pi():
    sample = angles(draw("haar"))
    assert largest_gap(sample, lambda w: (w - w.sin()) / math.pi) < LIMIT
    assert sample.mean().item() == pytest.approx(math.pi / 2 + 2 / math.pi, abs=0.02)


def test_haar_turns_any_direction_uniformly_over_the_sphere():
    for direction in (torch.eye(3).double()[0], torch.full((3,), 3**-0.5).double()):
        turned = draw("haar") @ direction
        for axis in range(3):  # Archimedes: each coordinate is uniform on [-1, 1]
            assert largest_gap(turned[:, axis], lambda x: (x + 1) / 2) < LIMIT


def test_haar_is_unchanged_by_a_fixed_rotation():
    fixed = draw("haar", seed=1, count=1)
    assert largest_gap(angles(fixed @ draw("haar")), lambda w: (w - w.sin()) / math.pi) < LIMIT


def test_axis_angle_has_uniform_angles_and_axes():
    rotations = draw("axis_angle")
    # A turn by w in [0, 2π) is one by min(w, 2π - w), which is uniform on [0, π].
    assert largest_gap(angles(rotations), lambda w: w / math.pi) < LIMIT
    _, vectors = torch.linalg.eigh(rotations + rotations.mT)  # the axis has the largest value
    assert largest_gap(vectors[:, 2, 2].abs(), lambda z: z) < LIMIT


def test_euler_is_three_turns_by_uniform_angles():
    rotations = draw("euler")
    # Rx Ry Rz has sin(b) in its upper right corner, and a and c in the quotients beside it.
    b = rotations[:, 0, 2]
    assert largest_gap(b, lambda s: 0.5 + torch.asin(s.clamp(-1, 1)) / math.pi) < LIMIT
    a = torch.atan2(-rotations[:, 1, 2], rotations[:, 2, 2])
    c = torch.atan2(-rotations[:, 0, 1], rotations[:, 0, 0])
    for angle in (a, c):
        assert largest_gap(angle, lambda w: 0.5 + w / (2 * math.pi)) < LIMIT


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_same_seed_gives_same_bits_in_every_dtype(sampler):
    assert torch.equal(draw(sampler, 3, 10), draw(sampler, 3, 10))
    assert not torch.equal(draw(sampler, 3, 10), draw(sampler, 4, 10))
    generator = torch.Generator().manual_seed(3)
    single = random_rotations(10, sampler=sampler, generator=generator)
    assert single.dtype == torch.float32
    assert torch.equal(single, draw(sampler, 3, 10).float())


def test_count_zero_is_empty_and_nonsense_is_refused():
    assert random_rotations(0).shape == (0, 3, 3)
    with pytest.raises(ValueError, match="count=-1"):
        random_rotations(-1)
    with pytest.raises(ValueError, match="'quaternion'"):
        random_rotations(1, sampler="quaternion")
