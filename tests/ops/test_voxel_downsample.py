"""Voxels against a dictionary, in every layout."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcclust import voxel_downsample
from tests.ops.sample_clouds import DTYPES, sample_cloud, working


def written_out(points, size):
    """Returns the rows of each voxel of one cloud, in the order of their first rows."""
    voxels = {}
    for row, point in enumerate(working(points).astype(np.float64)):
        voxels.setdefault(tuple(math.floor(x / size) for x in point), []).append(row)
    return list(voxels.values())


@given(
    st.sampled_from(["normal", "lattice", "duplicates", "all_equal", "signed_zeros", "far_away"]),
    st.sampled_from(DTYPES),
    st.integers(1, 60),
    st.integers(1, 4),
    st.sampled_from([0.1, 0.125, 1.0, 1e3]),
)
def test_each_voxel_has_one_point(kind, dtype, count, dims, size):
    points = sample_cloud(kind, count, dims, dtype)
    expected = written_out(points, size)
    exact = working(points)
    first = voxel_downsample(points, size, reduce="first")
    np.testing.assert_array_equal(first.points, exact[[rows[0] for rows in expected]])
    found = voxel_downsample(points, size)
    assert found.points.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    means = [exact[rows].astype(np.float64).mean(axis=0) for rows in expected]
    tolerance = 1e-6 if found.points.dtype == torch.float32 else 1e-14
    np.testing.assert_allclose(found.points, means, rtol=tolerance, atol=tolerance)
    assert found.counts.tolist() == [len(rows) for rows in expected]
    assert found.offsets.tolist() == [0, len(expected)]
    of_rows = {row: voxel for voxel, rows in enumerate(expected) for row in rows}
    assert found.voxels.tolist() == [of_rows[row] for row in range(count)]


def test_layouts_agree_and_clouds_keep_apart():
    clouds = [sample_cloud("normal", count, seed=count) for count in (5, 1, 30)]
    alone = [voxel_downsample(cloud, 0.7) for cloud in clouds]
    sizes = torch.tensor([len(cloud) for cloud in clouds])
    offsets = torch.tensor([0, 5, 6, 36])
    packed = voxel_downsample(torch.cat(clouds), 0.7, offsets=offsets)
    padded = torch.full((3, 30, 3), torch.nan)
    for cloud, row in zip(clouds, padded, strict=True):
        row[: len(cloud)] = cloud
    found = voxel_downsample(padded, 0.7, lengths=sizes)
    for result in (packed, found):
        assert torch.equal(result.points, torch.cat([one.points for one in alone]))
        assert result.offsets.diff().tolist() == [len(one.points) for one in alone]
    batch = torch.arange(3).repeat_interleave(sizes)
    assert torch.equal(voxel_downsample(torch.cat(clouds), 0.7, batch=batch).points, packed.points)
    assert found.voxels.shape == (3, 30)
    assert (found.voxels[1] == -1).tolist() == [False] + [True] * 29
    inside = found.voxels >= 0
    assert torch.equal(found.voxels[inside], packed.voxels)
    equal = torch.rand(2, 8, 3)
    assert voxel_downsample(equal, 0.5).voxels.shape == (2, 8)


def test_numpy_goes_in_and_out():
    points = np.random.default_rng(0).normal(size=(20, 3))
    found = voxel_downsample(points, 0.5)
    assert all(isinstance(part, np.ndarray) for part in found)


def test_the_order_of_points_decides_about_the_order_of_voxels_alone():
    points = sample_cloud("normal", 50)
    turned = voxel_downsample(points.flip(0), 0.6).points
    assert {tuple(p) for p in turned.round(decimals=5).tolist()} == {
        tuple(p) for p in voxel_downsample(points, 0.6).points.round(decimals=5).tolist()
    }


@pytest.mark.parametrize("reduce", ["centroid", "first"])
def test_gradients(reduce):
    points = sample_cloud("normal", 12, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: voxel_downsample(x, 0.9, reduce=reduce).points, (points,)
    )


@pytest.mark.parametrize(
    ("points", "size", "message"),
    [
        (torch.rand(4, 3), 0, "voxel_size=0 must be above 0"),
        (torch.rand(4, 3), -1.0, "must be above 0"),
        (torch.rand(4, 3), math.nan, "must be above 0"),
        (torch.rand(4, 3), math.inf, "must be above 0 and finite"),
        (torch.rand(4, 3), "1", "voxel_size must be a number, got str"),
        (torch.rand(4, 3) + 1, 1e-20, "voxel_size=1e-20 is too small for coordinates up to"),
        (torch.rand(0, 3), 1.0, "is empty"),
        (torch.full((4, 3), torch.nan), 1.0, "not finite"),
    ],
)
def test_wrong_calls(points, size, message):
    with pytest.raises((ValueError, TypeError), match=message):
        voxel_downsample(points, size)
    with pytest.raises(ValueError, match="reduce='mean' is neither"):
        voxel_downsample(torch.rand(4, 3), 1.0, reduce="mean")
