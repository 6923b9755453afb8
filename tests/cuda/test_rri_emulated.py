"""The CUDA kernels of RRI against the torch twin, emulated: the same links, the same features."""

import math

import pytest
import torch
from torch import Tensor

from tests.ops.sample_clouds import KINDS, sample_cloud
from tests.ops.test_rri import DEGENERATE, TURN, assert_well_formed

pytestmark = pytest.mark.emulated

DTYPES = [torch.float32, torch.float64]
# Angles are measured in the precision of the points, φ as a difference of two.
ANGLES = {torch.float32: 4e-6, torch.float64: 1e-9}
LENGTHS = {torch.float32: 3e-7, torch.float64: 1e-15}


def check(emulate, clouds, k, *, centers: Tensor | None = None, links=True, gap=0) -> Tensor:
    """Compares the features, and the links, of clouds that lie ``gap`` rows apart."""
    dtype = clouds[0].dtype
    padding = torch.full((gap, 3), torch.nan, dtype=dtype)
    sizes = torch.tensor([len(cloud) for cloud in clouds])
    points = torch.cat([padding, *(part for cloud in clouds for part in (cloud, padding))])
    starts = gap + torch.cumsum(sizes + gap, 0) - sizes - gap
    tensors = {"points": points, "starts": starts, "sizes": sizes, "centers": centers}
    found = emulate("rri", **tensors, k=k, links=links)
    expected = torch.ops.pcclust.rri_links_torch(*tensors.values(), k)
    if links:
        assert torch.equal(found["neighbors"], expected[1])
        assert torch.equal(found["successors"], expected[2])
    features = found["features"]
    rounding = {"rtol": LENGTHS[dtype], "atol": 0}
    torch.testing.assert_close(features[..., :2], expected[0][..., :2], **rounding)
    rounding = {"rtol": 0, "atol": ANGLES[dtype]}
    torch.testing.assert_close(features[..., 2:], expected[0][..., 2:], **rounding)
    # Where azimuths are equal, nothing depends on rounding.
    assert torch.equal(features[..., 3] == 0, expected[0][..., 3] == 0)
    assert_well_formed(features)
    return features


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 2, 20, 31, 32, 33, 63, 64, 65, 100])
def test_k_over_every_path(emulate, k, dtype):
    clouds = [sample_cloud("normal", n, dtype=dtype, seed=n) for n in (k + 1, 101 + k % 5)]
    check(emulate, clouds, k, links=k % 2 == 0)


@pytest.mark.parametrize(("k", "kind"), [(512, "normal"), (513, "lattice")])
def test_k_that_is_sorted_in_global_memory(emulate, k, kind):
    check(emulate, [sample_cloud(kind, k + 1, seed=1)], k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cloud(emulate, kind, dtype):
    for k in (7, 40, 70):
        check(emulate, [sample_cloud(kind, 80, dtype=dtype, seed=k)], k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_clouds_at_every_angle(emulate, name, dtype):
    points = torch.tensor(DEGENERATE[name], dtype=torch.float64)
    points = points - points.mean(dim=0)
    for k in {1, len(points) // 2, len(points) - 1}:
        for turned in (points, points @ TURN.T):
            check(emulate, [turned.to(dtype)], k)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ragged_clouds_with_padding_and_centers(emulate, dtype):
    clouds = [sample_cloud(kind, n, dtype=dtype) for kind, n in zip(KINDS, range(10, 32, 2))]
    features = check(emulate, clouds, 9, gap=3)
    assert (features[:3] == 0).all()
    shifted = [cloud for cloud in clouds if cloud.abs().max() < 100]
    middles = torch.stack([cloud[0] for cloud in shifted])
    check(emulate, shifted, 5, centers=middles)
    check(emulate, shifted, 5, centers=torch.zeros_like(middles), links=False, gap=1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_azimuths_that_float_cannot_tell_apart(emulate, dtype):
    # From (0, 0, 4): equal within the tolerance, twice the tolerance apart, and across the seam.
    for off in (1e-7, 4e-6, 2e-5, 6e-5):
        around = [[3, 0, 4], [1, 0, 4], [2, off, 4], [0, 2.5, 4], [1, -off, 4], [-1, -1, 4]]
        points = torch.tensor([[0.0, 0, 4], *around], dtype=torch.float64).to(dtype)
        features = check(emulate, [points], 6, centers=torch.zeros((1, 3), dtype=dtype))
        assert math.isclose(features[0, :, 3].double().sum().item(), 2 * math.pi, rel_tol=1e-6)


def test_a_large_cloud_is_placed_by_all_threads(emulate):
    check(emulate, [sample_cloud("far_away", 1300, dtype=torch.float64), sample_cloud("line", 600).double()], 3)
