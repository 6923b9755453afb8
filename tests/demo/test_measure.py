"""What the demo measures must be measured: broken features and mirrored shapes have to show."""

import numpy as np
import torch

import pcclust
from pcclust.data.rotations import random_rotations
from pcclust.demo import measure
from pcclust.demo.measure import (
    channels,
    measure_invariance,
    measure_reconstruction,
    shapes_per_second,
)
from pcclust.evaluate import invariance


def test_invariance_takes_the_reports_of_single_clouds_together():
    clouds = torch.randn(3, 60, 3, generator=torch.Generator().manual_seed(0))
    turns = random_rotations(4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    steps = []
    found = measure_invariance(clouds, 8, turns, lambda: steps.append(1))
    assert len(steps) == 3
    assert found.comparisons == 3 * 60 * 4
    assert found.changes.shape == (3,)
    assert (found.changes > 0).all()
    assert (found.changes < 1e-3).all()
    assert found.typical <= found.changes.max()
    exact = measure_invariance(clouds.double(), 8, turns)
    assert exact.changes.max() < 1e-9
    assert exact.fraction_changed == 0


def test_invariance_sees_features_that_do_turn(monkeypatch):
    """A broken feature must show up: here coordinates take the place of angles."""
    honest = invariance.rri_encode

    def broken(points, k, **settings):
        code = honest(points, k, **settings)
        return code._replace(features=code.features + 0.01 * points[..., None, :1])

    monkeypatch.setattr(invariance, "rri_encode", broken)
    turns = random_rotations(4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert measure_invariance(torch.randn(2, 60, 3).double(), 8, turns).changes.min() > 1e-3


def test_reconstruction_counts_errors_and_refusals(monkeypatch):
    whole = torch.randn(60, 3, dtype=torch.float64)
    torn = torch.cat([whole[:30], whole[30:] + 1000])
    clouds = torch.stack([cloud - cloud.mean(0) for cloud in (whole, torn)])
    found = measure_reconstruction(clouds, 8)
    assert len(found.errors) == 1
    assert found.errors[0] < 1e-9
    (reason,) = found.refused
    assert "not connected" in reason
    honest = measure.rri_decode
    monkeypatch.setattr(measure, "rri_decode", lambda code: honest(code) * torch.tensor([1, 1, -1]))
    assert (
        measure_reconstruction(clouds[:1], 8).errors[0] > 0.05
    )  # a mirrored shape is not the shape


def test_speed_counts_shapes_not_runs(monkeypatch):
    clock = iter(np.arange(0, 100, 0.5))
    monkeypatch.setattr(measure.time, "perf_counter", lambda: next(clock))
    assert shapes_per_second(torch.randn(6, 30, 3), 4) == 12


def test_channels_are_those_of_rri_and_only_z_turns():
    cloud = torch.randn(80, 3, dtype=torch.float64)
    cloud -= cloud.mean(0)
    turn = random_rotations(1, dtype=torch.float64)[0]
    upright, turned = channels(cloud, 8), channels(cloud @ turn.T, 8)
    *invariant, z = upright
    for name in invariant:
        np.testing.assert_allclose(upright[name], turned[name], atol=1e-9)
    assert abs(upright[z] - turned[z]).max() > 0.1
    features = pcclust.rri(cloud, 8)
    np.testing.assert_allclose(upright[invariant[0]], cloud.norm(dim=1))
    np.testing.assert_allclose(upright[invariant[1]], features[..., 1].std(1))
    np.testing.assert_allclose(upright[invariant[2]], features[..., 2].mean(1))
    np.testing.assert_allclose(upright[invariant[3]], features[..., 3].max(1).values)
