"""The CUDA kernels of farthest point sampling, emulated, choose the points of the torch twin."""

import pytest
import torch

from tests.ops.sample_clouds import KINDS, sample_cloud

pytestmark = pytest.mark.emulated

DTYPES = [torch.float32, torch.float64]


def check(emulate, clouds, samples, *, packed=False, gap=0):
    """Samples clouds that lie ``gap`` rows apart, from different points on, and compares."""
    dims, dtype = clouds[0].shape[1], clouds[0].dtype
    padding = torch.full((gap, dims), torch.nan, dtype=dtype)
    sizes = torch.tensor([len(cloud) for cloud in clouds])
    starts = gap + torch.cumsum(sizes + gap, 0) - sizes - gap
    tensors = {
        "points": torch.cat([padding, *(part for cloud in clouds for part in (cloud, padding))]),
        "starts": starts,
        "sizes": sizes,
        "first": (torch.arange(len(clouds)) * 7 + 3) % sizes,
    }
    found = emulate("farthest_point_sample", **tensors, packed=packed, num_samples=samples)
    expected = torch.ops.pcclust.farthest_point_sample_torch(*tensors.values(), packed, samples)
    assert torch.equal(found["indices"], expected)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cloud_to_its_last_point(emulate, kind, dtype):
    check(emulate, [sample_cloud(kind, 70, dtype=dtype), sample_cloud(kind, 71, dtype=dtype)], 70)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("dims", [1, 2, 3, 5])
def test_ragged_clouds_and_any_dimension(emulate, dims, dtype):
    # 900 points are more than the registers of a block that suits the mean.
    sizes = [4, 31, 32, 33, 257, 5, 900]
    clouds = [sample_cloud("lattice", n, dims, dtype, seed=n) for n in sizes]
    check(emulate, clouds, 4, packed=dims % 2 == 1, gap=dims - 1)
    check(emulate, [clouds[-1], *clouds[-3:-1], *clouds[:3] * 3], 4)


@pytest.mark.parametrize(
    ("kind", "sizes", "samples", "dtype"),
    [
        ("duplicates", [128, 128], 100, torch.float64),  # fill the registers of 32 threads
        ("duplicates", [256, 256], 100, torch.float32),
        ("duplicates", [257], 100, torch.float32),  # two warps
        ("normal", [2100], 8, torch.float64),  # eight points a thread
        ("normal", [4100], 8, torch.float32),  # sixteen
        ("lattice", [16384], 6, torch.float32),  # the largest that one block samples
    ],
)
def test_blocks_of_every_shape(emulate, kind, sizes, samples, dtype):
    clouds = [sample_cloud(kind, n, dtype=dtype, seed=i) for i, n in enumerate(sizes)]
    check(emulate, clouds, samples)


@pytest.mark.parametrize(
    ("kind", "dims", "sizes", "dtype"),
    [
        ("lattice", 3, [16385], torch.float32),
        ("normal", 3, [16300, 16600], torch.float64),
        ("all_equal", 2, [16400], torch.float32),
    ],
)
def test_large_clouds_over_many_blocks(emulate, kind, dims, sizes, dtype):
    clouds = [sample_cloud(kind, n, dims, dtype, seed=n) for n in sizes]
    check(emulate, clouds, 5, packed=True, gap=2)


def test_a_table_that_lies_reads_nothing_outside(emulate):
    points, long = sample_cloud("normal", 20), torch.tensor
    found = emulate(
        "farthest_point_sample",
        points=points,
        starts=long([-3, 15, 0, 90]),
        sizes=long([9, 10, -1, 5]),
        first=long([100, -1, 0, 0]),
        packed=False,
        num_samples=7,
    )
    assert ((found["indices"] >= -1) & (found["indices"] < 20)).all()
    assert (found["indices"][2:] == -1).all()


def test_no_clouds(emulate):
    none = torch.empty(0, dtype=torch.int64)
    tensors = {"points": torch.empty(0, 3), "starts": none, "sizes": none, "first": none}
    found = emulate("farthest_point_sample", **tensors, packed=False, num_samples=3)
    assert found["indices"].shape == (0, 3)
