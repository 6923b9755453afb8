import numpy as np
import pytest
import torch

import pcclust
from pcclust.data.rotations import random_rotations
from pcclust.evaluate.invariance import rri_invariance


def rotations(count: int) -> torch.Tensor:
    return random_rotations(count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_rri_does_not_change_with_rotation_and_reports_in_units_of_the_radius() -> None:
    points = torch.randn(2, 150, 3, generator=torch.Generator().manual_seed(1)).double() * 100
    report = rri_invariance(points, 12, rotations(4))
    assert 0 < report.median_change <= report.max_change < 1e-10
    assert report.fraction_changed == 0
    assert report.comparisons == 2 * 150 * 4
    single = rri_invariance(points.float().numpy(), 12, rotations(4).numpy())
    assert 1e-9 < single.median_change < single.max_change < 1e-4
    assert single.fraction_changed < 0.01


def test_what_is_no_rotation_is_seen() -> None:
    points = np.random.default_rng(0).standard_normal((80, 3))
    stretched = rri_invariance(points, 5, np.diag([1.0, 1.01, 1.0])[None])
    assert stretched.max_change > 1e-3
    mirrored = rri_invariance(points, 5, np.diag([1.0, 1.0, -1.0])[None])
    assert mirrored.fraction_changed > 0.9


def test_a_tie_of_two_neighbours_that_swaps_counts_as_changed() -> None:
    # The gap from one neighbour to the other is near 0 before, and near 2π after.
    points = torch.tensor([[0, 0, 1.0], [0.2, 2e-5, 1], [0.1, 0, 1]]).double()
    mirror = torch.diag(torch.tensor([1, -1, 1.0])).double()
    codes = [pcclust.rri_encode(p, 2, center="origin") for p in (points, points @ mirror)]
    assert (codes[0].features - codes[1].features)[0, :, 3].abs().min() > 6
    assert torch.equal(codes[0].successors, codes[1].successors)
    report = rri_invariance(points, 2, mirror[None], center="origin")
    assert report.fraction_changed >= 1 / 3
    assert report.max_change < 1e-2


def test_no_rotation_at_all_and_wrong_shapes() -> None:
    points = torch.rand(10, 3)
    assert rri_invariance(points, 3, torch.zeros(0, 3, 3)) == (0.0, 0.0, 0.0, 0)
    with pytest.raises(ValueError, match=r"rotations must be \(R, 3, 3\), got \(3, 3\)"):
        rri_invariance(points, 3, torch.eye(3))


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_200_real_shapes_under_20_rotations(
    modelnet40: np.ndarray, dtype: torch.dtype, limit: float
) -> None:
    reports = [rri_invariance(torch.from_numpy(p).to(dtype), 20, rotations(20)) for p in modelnet40]
    worst = max(report.max_change for report in reports)
    fraction = np.mean([report.fraction_changed for report in reports])
    print(f"{dtype}: largest change {worst:.1e}; {fraction:.1e} of the points changed their links")
    assert worst <= limit
