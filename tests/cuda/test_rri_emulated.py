"""The CUDA kernels of RRI against the torch twin, emulated: the same links, the same features."""

import pytest
import torch
from torch import Tensor

from tests.ops.sample_clouds import KINDS, sample_cloud
from tests.ops.test_rri import DEGENERATE, TURN, assert_well_formed

pytestmark = pytest.mark.emulated

DTYPES = [torch.float32, torch.float64]
# Angles are measured in the precision of the points, φ as a difference of two.
ANGLES = {torch.float32: 4e-6, torch.float64: 1e-9}


def check(emulate, clouds, k, *, centers: Tensor | None = None, links=True, gap=0) -> None:
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
    features, inside = found["features"], torch.zeros(len(points), dtype=torch.bool)
    assert_well_formed(features)
    for start, cloud in zip(starts, clouds, strict=True):
        part = slice(int(start), int(start) + len(cloud))
        assert_close(features[part], expected[0][part], float(cloud.abs().max()))
        inside[part] = True
    assert (features[~inside] == 0).all()


def assert_close(features: Tensor, expected: Tensor, reach: float) -> None:
    """Compares the features of one cloud, whose coordinates are at most ``reach``."""
    limits = torch.finfo(features.dtype)
    rounding = {"rtol": 4 * limits.eps, "atol": 2 * limits.eps * max(reach, limits.tiny)}
    torch.testing.assert_close(features[..., :2], expected[..., :2], **rounding)
    rounding = {"rtol": 0, "atol": ANGLES[features.dtype]}
    torch.testing.assert_close(features[..., 2:], expected[..., 2:], **rounding)
    # Where azimuths are equal, nothing depends on rounding.
    assert torch.equal(features[..., 3] == 0, expected[..., 3] == 0)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 2, 20, 31, 32, 33, 64, 65])
def test_k_over_every_path(emulate, k, dtype):
    clouds = [sample_cloud("normal", n, dtype=dtype, seed=n) for n in (k + 1, k + 9)]
    check(emulate, clouds, k, links=k % 2 == 0)


@pytest.mark.parametrize(("k", "kind"), [(256, "duplicates"), (257, "normal")])
def test_k_that_shared_memory_holds_and_one_more(emulate, k, kind):
    check(emulate, [sample_cloud(kind, k + 1, seed=1)], k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cloud(emulate, kind, dtype):
    for k in (7, 40, 70):
        check(emulate, [sample_cloud(kind, k + 4, dtype=dtype, seed=k)], k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("turned", [False, True])
def test_degenerate_clouds_at_every_angle(emulate, turned, dtype):
    clouds = [torch.tensor(points, dtype=torch.float64) for points in DEGENERATE.values()]
    clouds = [cloud - cloud.mean(dim=0) for cloud in clouds]
    clouds = [(cloud @ TURN.T if turned else cloud).to(dtype) for cloud in clouds]
    for k in (1, 2, 4, 5, 11, 17):
        check(emulate, [cloud for cloud in clouds if len(cloud) > k], k)


@pytest.mark.parametrize("dtype", DTYPES)
def test_ragged_clouds_with_padding_and_centers(emulate, dtype):
    clouds = [sample_cloud(kind, 10 + 2 * i, dtype=dtype, seed=i) for i, kind in enumerate(KINDS)]
    check(emulate, clouds, 9, gap=3)
    near = [cloud for cloud in clouds if cloud.abs().max() < 100]
    centers = torch.stack([cloud[0] for cloud in near])
    check(emulate, near, 5, centers=centers)
    check(emulate, near, 5, centers=torch.zeros_like(centers), links=False, gap=1)


@pytest.mark.parametrize("dtype", DTYPES)
def test_azimuths_that_float_cannot_tell_apart(emulate, dtype):
    # From (0, 0, 4): equal within the tolerance, twice the tolerance apart, and across the seam.
    for off in (1e-7, 4e-6, 2e-5, 6e-5):
        around = [[3, 0, 4], [1, 0, 4], [2, off, 4], [0, 2.5, 4], [1, -off, 4], [-1, -1, 4]]
        points = torch.tensor([[0.0, 0, 4], *around], dtype=torch.float64).to(dtype)
        check(emulate, [points], 6, centers=torch.zeros((1, 3), dtype=dtype))


def test_a_cloud_of_more_points_than_threads_place(emulate):
    clouds = [sample_cloud("far_away", 600), sample_cloud("two_scales", 520, seed=1)]
    check(emulate, [cloud.double() for cloud in clouds], 3)


def test_neighbours_that_are_not_there_are_0(emulate):
    # On the CPU the operator refuses this; a kernel would have to wait for the device.
    clouds = [torch.ones(1, 3), sample_cloud("normal", 3), sample_cloud("normal", 8)]
    sizes = torch.tensor([len(cloud) for cloud in clouds])
    starts = torch.cumsum(sizes, 0) - sizes
    tensors = {"points": torch.cat(clouds), "starts": starts, "sizes": sizes, "centers": None}
    features = emulate("rri", **tensors, k=4, links=True)["features"]
    alone = (clouds[2], torch.zeros(1, dtype=torch.int64), sizes[2:], None)
    expected, _, _ = torch.ops.pcclust.rri_links_torch(*alone, 4)
    assert (features[0] == 0).all()
    assert (features[1:4, 2:] == 0).all()  # a point of three has two neighbours
    assert_well_formed(features)
    assert_close(features[4:], expected, float(clouds[2].abs().max()))
