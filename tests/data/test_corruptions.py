import math

import numpy as np
import pytest
import torch
from scipy import stats

from pcclust.data.corruptions import (
    DGCNN,
    DGCNN_CLEAN,
    KINDS,
    LEVELS,
    corrupt,
    corruption_scores,
    corruption_suite,
)
from pcclust.data.transforms import UnitSphere

LEVEL = 1e-6


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def spheres(count=20, points=1024):
    return UnitSphere()(torch.randn(count, points, 3, generator=seeded(5)))


def added_or_kept(points, corrupted):
    """For each cloud, which corrupted points are points of the cloud."""
    return [
        np.array([row.tobytes() in {p.tobytes() for p in cloud} for row in new])
        for cloud, new in zip(points.numpy(), corrupted.numpy(), strict=True)
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_sizes_by_kind_and_level(level):
    sizes = {kind: corrupt(spheres(2), kind, level, seeded()).shape for kind in KINDS}
    dropped = (256, 384, 512, 640, 768)[level]
    assert sizes == {
        "scale": (2, 1024, 3),
        "jitter": (2, 1024, 3),
        "rotate": (2, 1024, 3),
        "dropout_global": (2, 1024 - dropped, 3),
        "dropout_local": (2, 1024 - 100 * (level + 1), 3),
        "add_global": (2, 1024 + 10 * (level + 1), 3),
        "add_local": (2, 1024 + 100 * (level + 1), 3),
    }


def test_scale_is_per_axis_then_normalised():
    points = spheres(4000, 30)
    scaled = corrupt(points, "scale", 4, seeded())
    assert torch.allclose(scaled.norm(dim=2).amax(dim=1), torch.ones(4000), atol=1e-5)
    assert float(scaled.mean(dim=1).abs().max()) < 1e-5
    # Up to one factor, each axis is the cloud's: ratios of factors lie within [1/4, 4].
    ratio = scaled.std(dim=1) / points.std(dim=1)
    relative = ratio[:, 0] / ratio[:, 1]
    assert float(relative.max()) <= 4 + 1e-4
    assert float(relative.max()) > 3.2
    x, y = (np.random.default_rng(i).uniform(0.5, 2, 100_000) for i in range(2))
    assert stats.ks_2samp(relative.numpy(), x / y).pvalue > LEVEL


@pytest.mark.parametrize("level", LEVELS)
def test_jitter_is_gaussian_and_unclipped(level):
    points = spheres()
    noise = (corrupt(points, "jitter", level, seeded()) - points).flatten().double()
    sigma = 0.01 * (level + 1)
    assert stats.kstest(noise, stats.norm(scale=sigma).cdf).pvalue > LEVEL
    assert float(noise.abs().max()) > 3.5 * sigma


@pytest.mark.parametrize("level", LEVELS)
def test_rotation_angles(level):
    frame = torch.eye(3, dtype=torch.float64).expand(5000, 3, 3).contiguous()
    rotation = corrupt(frame, "rotate", level, seeded())  # I @ R = Rz Ry Rx
    limit = math.radians(6 * (level + 1))
    about_y = -torch.asin(rotation[:, 2, 0])
    about_x = torch.atan2(rotation[:, 2, 1], rotation[:, 2, 2])
    about_z = torch.atan2(rotation[:, 1, 0], rotation[:, 0, 0])
    for angle in (about_x, about_y, about_z):
        assert float(angle.abs().max()) <= limit + 1e-9, "points @ R, not R @ points"
        assert stats.kstest(angle, stats.uniform(-limit, 2 * limit).cdf).pvalue > LEVEL


def test_global_dropout_keeps_a_random_subset():
    points = spheres(3)
    for cloud, kept in zip(points, corrupt(points, "dropout_global", 2, seeded()), strict=True):
        rows = {row.numpy().tobytes() for row in kept}
        assert len(rows) == 512
        assert rows <= {row.numpy().tobytes() for row in cloud}


def test_local_dropout_removes_a_few_balls():
    points = spheres(60, 600)
    clusters = []
    for cloud, kept in zip(points, corrupt(points, "dropout_local", 0, seeded()), strict=True):
        rows = {row.numpy().tobytes() for row in kept}
        lost = torch.stack([p for p in cloud if p.numpy().tobytes() not in rows])
        assert (len(rows), len(lost)) == (500, 100)
        clusters.append(float(torch.cdist(lost, lost).median()))
    # One ball of 100 neighbours is far tighter than 100 points spread over the cloud.
    spread = float(torch.cdist(points[0], points[0]).median())
    assert min(clusters) < 0.5 * spread
    assert np.median(clusters) < spread


def test_one_ball_holds_the_nearest_points(monkeypatch):
    def one_cluster(batch, total, generator):
        sizes = torch.zeros(batch, 7, dtype=torch.int64)
        sizes[:, 0] = total
        return sizes

    monkeypatch.setattr("pcclust.data.corruptions._cluster_sizes", one_cluster)
    points = spheres(5, 300)
    for cloud, kept in zip(points, corrupt(points, "dropout_local", 0, seeded()), strict=True):
        rows = {row.numpy().tobytes() for row in kept}
        gone = np.array([p.tobytes() not in rows for p in cloud.numpy()])
        distance = torch.cdist(cloud.double(), cloud.double())
        # Some lost point is the centre: the lost ones are its 100 nearest.
        assert any(gone[distance[i].argsort()[:100]].all() for i in np.flatnonzero(gone))


def test_global_additions_are_uniform_in_the_ball():
    points = spheres(400, 600)
    corrupted = corrupt(points, "add_global", 4, seeded())
    assert torch.equal(corrupted[:, :600], points)
    added = corrupted[:, 600:].reshape(-1, 3).double()
    radius = added.norm(dim=1)
    assert stats.kstest(radius**3, stats.uniform.cdf).pvalue > LEVEL
    assert stats.kstest(added[:, 2] / radius, stats.uniform(-1, 2).cdf).pvalue > LEVEL


def test_local_additions_lie_around_points_of_the_cloud():
    points = spheres(50, 600)
    corrupted = corrupt(points, "add_local", 1, seeded())
    assert torch.equal(corrupted[:, :600], points)
    added = corrupted[:, 600:]
    assert added.shape[1] == 200
    assert float(added.norm(dim=2).max()) <= 1 + 1e-6, "what falls outside comes back inside"
    assert float(torch.cdist(added, points).amin(dim=2).max()) < 0.9


def test_local_additions_have_the_right_spread():
    # All points at the origin: what is added shows the Gaussian alone, mixed over its sigmas.
    points = torch.zeros(300, 600, 3, dtype=torch.float64)
    added = corrupt(points, "add_local", 4, seeded())[:, 600:]
    spread = added.flatten().std()
    mean_square = (0.125**3 - 0.075**3) / (3 * 0.05)  # of sigma uniform in [0.075, 0.125]
    assert float(spread) == pytest.approx(math.sqrt(mean_square), rel=0.02)


def test_points_outside_the_ball_land_at_the_inverse_radius():
    far = torch.full((200, 600, 3), 2 / math.sqrt(3), dtype=torch.float64)  # radius 2
    added = corrupt(far, "add_local", 4, seeded())[:, 600:]
    assert float(added.norm(dim=2).mean()) == pytest.approx(0.5, abs=0.02)


def test_cluster_sizes_sum_to_the_total():
    from pcclust.data.corruptions import _cluster_sizes

    sizes = _cluster_sizes(7000, 300, seeded())
    assert bool((sizes.sum(dim=1) == 300).all())
    used = (sizes > 0).sum(dim=1)
    assert stats.chisquare(torch.bincount(used, minlength=8)[1:]).pvalue > LEVEL


def test_suite_is_reproducible_and_its_parts_independent():
    points = spheres(2, 600)
    suite = {(c.kind, c.level): c.points for c in corruption_suite(points, seed=3)}
    assert list(suite) == [(kind, level) for kind in KINDS for level in LEVELS]
    for version in corruption_suite(points, seed=3):
        assert torch.equal(version.points, suite[version.kind, version.level])
    other = next(iter(corruption_suite(points, seed=4)))
    assert not torch.equal(other.points, suite["scale", 0])


def test_scores_of_dgcnn_are_one():
    scores = corruption_scores(DGCNN_CLEAN, {kind: [oa] * 5 for kind, oa in DGCNN.items()})
    assert (scores.mce, scores.rmce, scores.moa) == (1.0, 1.0, 0.764)
    assert set(scores.ce.values()) == set(scores.rce.values()) == {1.0}


def test_scores_by_hand():
    accuracies = {kind: [0.9, 0.8, 0.7, 0.6, 0.5001] for kind in KINDS}
    scores = corruption_scores(0.91, accuracies)
    assert set(scores.accuracy.values()) == {0.7}
    assert scores.ce["jitter"] == round(0.3 / (1 - 0.684), 3)
    assert scores.rce["jitter"] == round((0.91 - 0.7) / (0.926 - 0.684), 3)
    assert scores.mce == round(sum(round(0.3 / (1 - oa), 3) for oa in DGCNN.values()) / 7, 3)


def test_wrong_input():
    points = spheres(1, 400)
    with pytest.raises(ValueError, match=r"kind='fog' is none of scale, jitter"):
        corrupt(points, "fog", 0)
    with pytest.raises(ValueError, match=r"level=5 is not between 0 and 4"):
        corrupt(points, "scale", 5)
    for kind in ("dropout_local", "add_local"):
        with pytest.raises(ValueError, match=r"level 3 need more than 400 points .* got 400"):
            corrupt(points, kind, 3)
    with pytest.raises(ValueError, match=r"jitter needs accuracies at levels 0 to 4, got 4"):
        corruption_scores(0.9, {**{k: [0.5] * 5 for k in KINDS}, "jitter": [0.5] * 4})
    with pytest.raises(ValueError, match=r"scale has accuracies .* not between 0 and 1"):
        corruption_scores(0.9, {k: [50.0] * 5 for k in KINDS})
    with pytest.raises(ValueError, match=r"clean=92.6 is not a fraction"):
        corruption_scores(92.6, {k: [0.5] * 5 for k in KINDS})
