"""Normals against singular vectors of each neighbourhood, and surfaces whose normals are known."""

import numpy as np
import pytest
import torch

from pcclust import knn, normals
from pcclust.data.rotations import random_rotations
from tests.ops.sample_clouds import sample_cloud


def written_out(points, k, reference, sign):
    """Returns normals and variations by NumPy, a point at a time."""
    points = points.double().numpy()
    found, variations = [], []
    for point in points:
        near = points[np.argsort(np.linalg.norm(points - point, axis=1), kind="stable")[:k]]
        _, values, axes = np.linalg.svd(near - near.mean(axis=0))
        normal = axes[2]
        found.append(normal * np.sign(sign * normal @ (point - reference)))
        variations.append(values[2] ** 2 / (values**2).sum())
    return np.array(found), np.array(variations)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [3, 16, 40])
def test_it_is_the_direction_of_least_variance(dtype, k):
    points = sample_cloud("normal", 40, dtype=dtype)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    found = normals(points, k)
    expected, variations = written_out(points, k, points.double().numpy().mean(axis=0), 1)
    assert found.normals.dtype == found.variation.dtype == dtype
    np.testing.assert_allclose(found.normals, expected, atol=tolerance)
    np.testing.assert_allclose(found.variation, variations, atol=tolerance)
    eye = torch.tensor([3.0, -2, 5])
    seen = normals(points, k, viewpoint=eye)
    np.testing.assert_allclose(
        seen.normals, written_out(points, k, eye.numpy(), -1)[0], atol=tolerance
    )


def test_of_a_sphere_they_point_outward_or_to_the_eye():
    sphere = torch.nn.functional.normalize(sample_cloud("normal", 2000, dtype=torch.float64), dim=1)
    outward = normals(sphere + 1e6).normals
    assert float((outward * sphere).sum(dim=1).min()) > 0.98
    eye = torch.tensor([0.0, 0, 9])
    seen = normals(sphere, viewpoint=eye).normals
    assert bool(((seen * (eye - sphere)).sum(dim=1) >= 0).all())


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_they_turn_with_the_cloud_at_any_size(scale):
    points = sample_cloud("normal", 60, dtype=torch.float64) * scale
    (turn,) = random_rotations(1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found, turned = normals(points, 10), normals(points @ turn.T, 10)
    torch.testing.assert_close(turned.normals, found.normals @ turn.T)
    torch.testing.assert_close(turned.variation, found.variation)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_where_nothing_singles_one_out_there_is_none(dtype):
    # Rounding moves its points off the line.
    line = torch.linspace(0, 1, 8, dtype=dtype)[:, None] * torch.tensor([1.0, 2, 3], dtype=dtype)
    for points in (line, torch.ones(5, 3, dtype=dtype)):
        found = normals(points + 7, 4)
        assert not found.normals.any()
        assert not found.variation.any()
    plane = sample_cloud("normal", 30, dtype=dtype)
    plane[:, 2] = 0
    found = normals(plane, 5)  # the centroid is in the plane, and decides nothing
    assert torch.equal(found.normals, torch.tensor([0, 0, 1], dtype=dtype).expand(30, 3))
    assert float(found.variation.max()) == 0


def test_layouts_agree():
    clouds = [sample_cloud("normal", count, seed=count) for count in (5, 30)]
    eyes = torch.tensor([[9.0, 0, 0], [0, 9, 0]])
    padded = torch.full((2, 30, 3), torch.nan)
    for cloud, row in zip(clouds, padded, strict=True):
        row[: len(cloud)] = cloud
    lengths = torch.tensor([5, 30])
    found = normals(padded, 4, viewpoint=eyes, lengths=lengths)
    packed = normals(torch.cat(clouds), 4, viewpoint=eyes, offsets=torch.tensor([0, 5, 35]))
    alone = [normals(cloud, 4, viewpoint=eye) for cloud, eye in zip(clouds, eyes, strict=True)]
    assert torch.equal(packed.normals, torch.cat([one.normals for one in alone]))
    assert torch.equal(found.normals[1], alone[1].normals)
    assert torch.equal(found.variation[0, :5], alone[0].variation)
    assert not found.normals[0, 5:].any()
    arrays = normals(clouds[1].numpy(), 4, viewpoint=eyes[1].numpy())
    assert isinstance(arrays.normals, np.ndarray)
    np.testing.assert_array_equal(arrays.normals, alone[1].normals)


def test_duplicates_are_neighbours_too_and_three_points_are_needed_for_a_plane():
    points = sample_cloud("duplicates", 60, dtype=torch.float64)
    near = points[knn(points, 6).indices].numpy()
    spans = np.linalg.matrix_rank(near - near.mean(axis=1, keepdims=True), tol=1e-8) >= 2
    assert 0 < spans.sum() < len(points)
    np.testing.assert_array_equal(normals(points, 6).normals.any(dim=1), spans)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k": 2}, "k=2 must be at least 3"),
        ({"k": 6}, "k=6 exceeds the 5 points"),
        ({"points": torch.rand(5, 2)}, "normals need points in 3 dimensions, got 2"),
        ({"viewpoint": torch.zeros(2, 3)}, r"viewpoint must be \(3,\) or \(1, 3\)"),
        ({"viewpoint": torch.full((3,), torch.inf)}, "viewpoint holds NaN or inf"),
        ({"points": torch.full((5, 3), torch.nan)}, "not finite"),
    ],
)
def test_wrong_calls(arguments, message):
    with pytest.raises(ValueError, match=message):
        normals(**{"points": torch.rand(5, 3), "k": 3} | arguments)
