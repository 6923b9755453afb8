import pytest
import torch

from pcclust import KMeans
from pcclust.cluster.plain_kmeans import plain_kmeans


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [1.0, 1e25])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_finds_what_the_estimator_finds_to_the_bit(dtype, scale, weighted):
    generator = torch.Generator().manual_seed(0)
    points = (torch.randn(700, 5, generator=generator) * scale).to(dtype)
    weights = torch.rand(700, generator=generator).to(dtype) if weighted else None
    known = KMeans(9, max_iter=7, tol=1e-3, random_state=3).fit(points, sample_weight=weights)
    found = plain_kmeans(points, 9, 3, weights=weights, max_iter=7, tol=1e-3)
    assert torch.equal(found, known.cluster_centers_)
