"""The CUDA kernel of the assignment step against directly computed distances, emulated."""

import pytest
import torch
from torch import Tensor

from pcclust.ops import kmeans_assign as _declares_the_twin  # noqa: F401

pytestmark = pytest.mark.emulated

DTYPES = [torch.float32, torch.float64]
# Tiles hold 64 points, 64 centers and 32 dimensions; up to 8 dimensions nothing is fused.
SHAPES = [
    (1, 1, 1),
    (63, 2, 3),
    (64, 64, 8),
    (65, 65, 9),
    (40, 129, 32),
    (130, 63, 33),
    (7, 70, 70),
]


def direct_distances(points: Tensor, centers: Tensor) -> Tensor:
    """Returns ``(N, k)`` squared distances, summed in order of dimension, every step rounded."""
    total = points.new_zeros(len(points), len(centers))
    for d in range(points.shape[1]):
        total += (points[:, None, d] - centers[None, :, d]).square()
    return total


def lattice(seed: int, count: int, dims: int, dtype: torch.dtype) -> Tensor:
    """Points with whole coordinates: every distance is exact, and ties abound."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 2, (count, dims), generator=generator).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("count", "clusters", "dims"), SHAPES)
def test_the_first_of_the_nearest_wins(emulate, count, clusters, dims, dtype):
    points, centers = lattice(1, count, dims, dtype), lattice(2, clusters, dims, dtype)
    found = emulate("kmeans_assign", points=points, centers=centers)
    expected = direct_distances(points, centers).min(dim=1)
    assert torch.equal(found["distances"], expected.values)
    # torch's argmin names any of several; the first is where the running minimum last sank.
    first = (direct_distances(points, centers) == expected.values[:, None]).int().argmax(dim=1)
    assert torch.equal(found["labels"], first)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("dims", "offset"), [(3, 0.0), (8, 1e3), (9, 0.0), (50, 1e3)])
def test_distances_are_direct(emulate, dims, offset, dtype):
    generator = torch.Generator().manual_seed(dims)
    points = torch.randn((100, dims), generator=generator, dtype=dtype) + offset
    centers = torch.cat([points[:30:2], points[:40:3] + 0.1])
    found = emulate("kmeans_assign", points=points, centers=centers)
    table = direct_distances(points, centers)
    expected = table.min(dim=1)
    if dims <= 8:
        assert torch.equal(found["distances"], expected.values)
        assert torch.equal(found["labels"], expected.indices)
    rounding = dims * torch.finfo(dtype).eps
    torch.testing.assert_close(found["distances"], expected.values, rtol=rounding, atol=0)
    chosen = table.gather(1, found["labels"][:, None])[:, 0]
    assert (chosen <= expected.values * (1 + 2 * rounding)).all()


def test_follows_the_twin(emulate):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn((90, 20), generator=generator, dtype=torch.float64)
    labels, distances = torch.ops.pcclust.kmeans_assign_torch(
        points, points[:66:2].contiguous(), points[0], None
    )
    found = emulate("kmeans_assign", points=points, centers=points[:66:2])
    assert torch.equal(found["labels"], labels)
    torch.testing.assert_close(found["distances"], distances)


@pytest.mark.parametrize("dtype", DTYPES)
def test_squares_that_overflow_choose_the_first_center(emulate, dtype):
    points = torch.full((3, 2), torch.finfo(dtype).max / 2, dtype=dtype)
    found = emulate("kmeans_assign", points=points, centers=-points.repeat(30, 1))
    assert found["labels"].tolist() == [0, 0, 0]
    assert (found["distances"] == torch.inf).all()


def test_no_points(emulate):
    found = emulate("kmeans_assign", points=torch.empty(0, 4), centers=torch.zeros(2, 4))
    assert found["labels"].shape == (0,)
