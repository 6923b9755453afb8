"""The rotations must be those they are called, and the same whatever else is asked for."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pcclust.data.dataset import UP_AXES
from pcclust.data.splits import stratified
from pcclust.evaluate.rotations import Rotations


@pytest.mark.parametrize("up_axis", UP_AXES)
def test_turns_are_rotations_about_the_axis_they_are_called_after(up_axis):
    up = UP_AXES.index(up_axis)
    rotations = Rotations(rounds=3, tilts=7)
    about, anywhere = rotations.about_up(40, up_axis), rotations.arbitrary(40)
    tilted = rotations.tilted(40, up_axis)
    for rotations in (about, anywhere, tilted):
        torch.testing.assert_close(
            rotations @ rotations.mT, torch.eye(3).expand_as(rotations).double()
        )
        torch.testing.assert_close(rotations.det(), torch.ones(rotations.shape[:2]).double())
    axis = torch.eye(3, dtype=torch.float64)[up]
    torch.testing.assert_close(about @ axis, axis.expand(3, 40, 3))
    expected = torch.linspace(0, 180, 7, dtype=torch.float64).deg2rad().cos()
    torch.testing.assert_close(tilted[..., up, up], expected[:, None].expand(7, 40))
    torch.testing.assert_close(tilted[0], about[0])


def test_a_tilt_is_a_haar_rotation_of_that_tilt():
    """Given the tilt, the azimuths of the up axis before and after are uniform, independently."""
    rotations = Rotations(tilts=4).tilted(4000, "z")[1]  # of 60°
    after = torch.atan2(rotations[:, 1, 2], rotations[:, 0, 2]) / (2 * np.pi) + 0.5
    before = torch.atan2(rotations[:, 2, 1], rotations[:, 2, 0]) / (2 * np.pi) + 0.5
    for azimuth in (after, before, (after + before) % 1, (after - before) % 1):
        assert stats.kstest(azimuth, "uniform").pvalue > 1e-3


def test_turns_in_space_are_uniform_by_default():
    haar = Rotations(rounds=2).arbitrary(2000).flatten(0, 1)
    assert stats.kstest(haar[:, 2, 2], stats.uniform(-1, 2).cdf).pvalue > 1e-3
    other = Rotations(rounds=2, sampler="axis_angle").arbitrary(2000).flatten(0, 1)
    assert stats.kstest(other[:, 2, 2], stats.uniform(-1, 2).cdf).pvalue < 1e-6


def test_one_setting_changes_one_set_of_turns():
    plain, other = Rotations(seed=3), Rotations(seed=3, sampler="euler", tilts=5)
    assert torch.equal(plain.about_up(9, "y"), other.about_up(9, "y"))
    assert not torch.equal(plain.arbitrary(9), other.arbitrary(9))
    assert torch.equal(plain.arbitrary(9), Rotations(seed=3, tilts=0).arbitrary(9))
    assert not torch.equal(plain.arbitrary(9), Rotations(seed=4).arbitrary(9))
    assert torch.equal(plain.tilted(9, "y")[-1], other.tilted(9, "y")[-1])


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 70), st.integers(0, 9))
def test_stratified_choice_keeps_the_share_of_each_class(classes, count, seed):
    labels = torch.tensor(classes)
    chosen = stratified(labels, count, seed)
    assert len(chosen) == min(count, len(labels)) == len(chosen.unique())
    assert torch.equal(chosen, chosen.sort().values)
    shares = torch.bincount(labels) * len(chosen) / len(labels)
    drawn = torch.bincount(labels[chosen], minlength=len(shares))
    assert ((drawn - shares).abs() < 1 + 1e-9).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rounds": 0}, "rotations=0"),
        ({"tilts": 1}, "tilts=1"),
        ({"tilt_shapes": 0}, "tilt_shapes=0"),
        ({"seed": -1}, "seed=-1"),
        ({"sampler": "cube"}, "sampler='cube'"),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        Rotations(**settings)
    with pytest.raises(ValueError, match="0 shapes"):
        stratified(torch.zeros(3), 0)
