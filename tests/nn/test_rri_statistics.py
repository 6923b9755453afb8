"""Statistics of RRI against a slow reference, and what must not change them."""

import numpy as np
import pytest
import torch

import pcclust
from pcclust.data.rotations import random_rotations
from pcclust.nn import rri_statistics as module
from pcclust.nn.rri_statistics import rri_statistics


def clouds(count=3, points=160, seed=0):
    generator = torch.Generator().manual_seed(seed)
    stretched = torch.tensor([1.0, 2.0, 0.3], dtype=torch.float64)
    return torch.randn(count, points, 3, generator=generator, dtype=torch.float64) * stretched


def describe(cloud):
    """Describes one shape, point by point, as the docstring says."""
    cloud = cloud - cloud.mean(axis=0)
    cloud = cloud / np.sqrt((cloud**2).sum(axis=1).mean())
    outermost = int((cloud**2).sum(axis=1).argmax())
    few = cloud[pcclust.farthest_point_sample(cloud, 128, start=outermost)]
    described = []
    for points, k in ((cloud, 20), (few, 32), (few, 127)):
        numbers = []
        for point, features in zip(points, pcclust.rri(points, k), strict=True):
            away = np.linalg.norm(points - point, axis=1)
            r, reach, theta, phi = features.T
            row = [r[0], (reach - r).mean(), reach.std(), theta.mean(), theta.std()]
            numbers.append([*row, phi.max(), phi.std(), np.sort(away)[1 : k + 1].mean()])
        numbers = np.array(numbers)
        described.append(np.quantile(numbers, (np.arange(9) + 0.5) / 9, axis=0).T.ravel())
        standard = (numbers - numbers.mean(axis=0)) / (numbers.std(axis=0) + 1e-3)
        products = standard.T @ standard / len(numbers)
        described.append(products[np.triu_indices(8, 1)])
    return np.concatenate(described)


def test_it_is_as_described():
    shapes = clouds()
    found = rri_statistics(shapes)
    assert found.shape == (3, 300)
    expected = np.stack([describe(cloud) for cloud in shapes.numpy()])
    np.testing.assert_allclose(found, expected, atol=1e-9)


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 2e-2), (torch.float64, 1e-7)])
def test_rotation_place_size_and_order_do_not_matter(dtype, close):
    shapes = clouds().to(dtype)
    turns = random_rotations(3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    order = torch.randperm(160, generator=torch.Generator().manual_seed(2))
    turned = (shapes.double() @ turns.mT * 7 + 0.5)[:, order].to(dtype)
    torch.testing.assert_close(rri_statistics(turned), rri_statistics(shapes), atol=close, rtol=0)


def test_other_shapes_differ():
    found = rri_statistics(clouds())
    apart = (found[0] - found[1]).norm()
    round_ones = torch.nn.functional.normalize(clouds(), dim=2)
    assert (rri_statistics(round_ones)[0] - found[0]).norm() > 3 * apart


def test_batches_and_kinds_do_not_matter(monkeypatch):
    shapes = clouds()
    expected = rri_statistics(shapes)
    monkeypatch.setattr(module, "POINTS_AT_ONCE", 160)
    torch.testing.assert_close(rri_statistics(shapes), expected, rtol=0, atol=0)
    np.testing.assert_array_equal(rri_statistics(shapes.numpy()), expected.numpy())
    half = rri_statistics(shapes.half())
    assert half.dtype == torch.float32


@pytest.mark.parametrize("count", [4, 21, 100])
def test_small_and_degenerate_shapes_have_finite_features(count):
    flat = clouds(points=count)
    flat[..., 2] = 0
    same = torch.ones(1, count, 3, dtype=torch.float64)
    line = torch.linspace(0, 1, count, dtype=torch.float64)[None, :, None].expand(1, count, 3)
    for shapes in (flat, same, line, clouds(points=count)):
        found = rri_statistics(shapes)
        assert found.shape == (len(shapes), 300)
        assert found.isfinite().all()


@pytest.mark.parametrize("shape", [(3, 3, 3), (10, 3), (2, 10, 2)])
def test_what_is_no_batch_of_shapes_is_named(shape):
    with pytest.raises(ValueError, match=r"points must be \(B, N, 3\) with N >= 4"):
        rri_statistics(torch.zeros(shape))


def test_missing_numbers_are_named():
    shapes = clouds()
    shapes[1, 2, 0] = torch.nan
    with pytest.raises(ValueError, match=r"points\[1, 0\] is not finite"):
        rri_statistics(shapes)
