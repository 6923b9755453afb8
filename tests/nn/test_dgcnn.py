"""`pcclust.nn.DGCNN` against the network as published, which holds every edge."""

import pytest
import torch
from torch import Tensor, nn

from pcclust.nn import DGCNN
from tests.nn.example_clouds import objects, relative, small_backbone


def textbook(network: DGCNN, points: Tensor) -> Tensor:
    """Runs the weights of ``network`` with all edges and all distances in memory."""
    x, outputs, batch = points, [], torch.arange(len(points))[:, None, None]
    for layer in network.edge_convs:
        near = torch.cdist(x, x).topk(network.k, largest=False).indices
        neighbors = x[batch, near]
        own = x[:, :, None].expand_as(neighbors)
        edges = torch.cat([own, neighbors - own], dim=-1) @ layer.linear.weight.t()
        x = nn.functional.leaky_relu(normalised(layer.norm, edges), 0.2).amax(dim=2)
        outputs.append(x)
    pooling = network.pooling
    y = torch.cat(outputs, dim=-1) @ pooling.linear.weight.t()
    y = nn.functional.leaky_relu(normalised(pooling.norm, y), 0.2)
    return torch.cat([y.amax(dim=1), y.mean(dim=1)], dim=1)


def normalised(norm: nn.BatchNorm1d, x: Tensor) -> Tensor:
    if norm.training:
        every = tuple(range(x.dim() - 1))
        mean, variance = x.mean(dim=every), x.var(dim=every, correction=0)
    else:
        mean, variance = norm.running_mean, norm.running_var
    return (x - mean) / (variance + norm.eps).sqrt() * norm.weight + norm.bias


@pytest.mark.parametrize("training", [True, False])
def test_equals_the_published_network(training: bool) -> None:
    network = small_backbone("dgcnn", torch.float64).train(training)
    points = objects(3, 70, torch.float64)
    weights = torch.randn(3, network.out_channels, dtype=torch.float64)
    found, expected = network(points), textbook(network, points)
    assert relative(found, expected) < 1e-12
    parameters = list(network.parameters())
    ours = torch.autograd.grad((found * weights).sum(), parameters)
    theirs = torch.autograd.grad((expected * weights).sum(), parameters)
    for one, other in zip(ours, theirs, strict=True):
        assert relative(one, other) < 1e-9


def test_defaults_are_the_papers() -> None:
    network = DGCNN()
    assert [layer.out_channels for layer in network.edge_convs] == [64, 64, 128, 256]
    assert (network.k, network.out_channels) == (20, 2048)
    assert network.pooling.linear.weight.shape == (1024, 512)
    points = objects(2, 64)
    assert relative(network(points), textbook(network, points)) < 1e-4


def test_clouds_smaller_than_k_are_named() -> None:
    with pytest.raises(ValueError, match="k=6 exceeds the 4 points of cloud 1"):
        small_backbone("dgcnn")(objects(2, 40), lengths=torch.tensor([40, 4]))
