"""Clouds far from magnitude 1 are treated as they are near it, or refused."""

import pytest
import torch
from torch import Tensor

import pcclust
from tests.ops.sample_clouds import same_bits, sample_cloud

# Exact powers of two beyond 1e±25 and 1e±200.
POWERS = [(torch.float32, -84), (torch.float32, 84), (torch.float64, -666), (torch.float64, 666)]
POINTS = sample_cloud("normal", 60, dtype=torch.float32)


@pytest.fixture(params=POWERS, ids=str)
def clouds(request: pytest.FixtureRequest) -> tuple[Tensor, Tensor, float]:
    """Returns a cloud near 1 and the same far from it, and the factor between them."""
    dtype, power = request.param
    near = POINTS.to(dtype)
    return near, near * 2.0**power, 2.0**power


def test_neighbours(backend: str, clouds: tuple[Tensor, Tensor, float]) -> None:
    near, far, scale = clouds
    found = pcclust.knn(far, 5)
    assert same_bits(found.indices, pcclust.knn(near, 5).indices)
    assert same_bits(found.distances, (far[:, None] - far[found.indices]).square().sum(-1))
    ball, expected = pcclust.ball_query(far, scale / 2, 7), pcclust.ball_query(near, 0.5, 7)
    assert same_bits(ball.indices, expected.indices)
    assert same_bits(ball.counts, expected.counts)
    index = pcclust.NeighborIndex(far)
    assert same_bits(index.knn(5, queries=far[:9]).indices, found.indices[:9])
    assert same_bits(index.ball_query(scale / 2, 7).indices, expected.indices)
    mixed = torch.stack([near, far])
    assert same_bits(pcclust.knn(mixed, 5).indices, torch.stack([found.indices] * 2))


def test_samples_and_clusters(backend: str, clouds: tuple[Tensor, Tensor, float]) -> None:
    near, far, scale = clouds
    samples = pcclust.farthest_point_sample(near, 30)
    assert same_bits(pcclust.farthest_point_sample(far, 30), samples)
    assert same_bits(pcclust.ward_labels(far, [3, 9]), pcclust.ward_labels(near, [3, 9]))
    linkage = pcclust.ward_linkage(near)
    linkage[:, 2] *= scale
    assert same_bits(pcclust.ward_linkage(far), linkage)


@pytest.mark.parametrize("center", ["centroid", "origin"])
def test_features(backend: str, clouds: tuple[Tensor, Tensor, float], center: str) -> None:
    near, far, scale = clouds
    unit = torch.tensor([scale, scale, 1, 1], dtype=near.dtype)
    expected, code = (pcclust.rri_encode(cloud, 6, center=center) for cloud in (near, far))
    assert same_bits(code.features, expected.features * unit)
    assert same_bits(code.neighbors, expected.neighbors)
    assert same_bits(code.successors, expected.successors)
    features = pcclust.rri(near, 6, center=center)
    assert same_bits(pcclust.rri(far, 6, center=center), features * unit)


def test_gradients(backend: str, clouds: tuple[Tensor, Tensor, float]) -> None:
    near, far, scale = (c.clone().requires_grad_() if torch.is_tensor(c) else c for c in clouds)
    pcclust.rri(near, 6)[..., :2].sum().backward()
    pcclust.rri(far, 6)[..., :2].sum().backward()
    assert same_bits(far.grad, near.grad)
    near.grad = far.grad = None
    pcclust.knn(near, 4).distances.sum().backward()
    pcclust.knn(far, 4).distances.sum().backward()
    assert same_bits(far.grad, near.grad * scale)


def test_half_precision_is_computed_in_single(backend: str) -> None:
    points = (POINTS * 6e4 / POINTS.abs().max()).half()
    assert same_bits(pcclust.knn(points, 5).indices, pcclust.knn(points.double(), 5).indices)


def test_ranges_that_no_factor_serves_are_refused(backend: str) -> None:
    far = torch.full((1, 3), 1e25)
    message = r"cloud 0 .* 1e\+25, .* lie apart or give float64"
    with pytest.raises(ValueError, match=message):
        pcclust.knn(POINTS, 2, queries=far)
    with pytest.raises(ValueError, match=message):
        pcclust.farthest_point_sample(torch.cat([POINTS, far]), 2)


def test_padding_does_not_count(backend: str) -> None:
    padded = torch.cat([POINTS * 2.0**84, torch.full((4, 3), torch.nan)])[None]
    found = pcclust.knn(padded, 3, lengths=torch.tensor([60]))
    assert same_bits(found.indices[0, :60], pcclust.knn(POINTS, 3).indices)
