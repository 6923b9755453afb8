"""Networks under torch.export and torch.compile, for any number of clouds."""

import copy

import pytest
import torch
from torch import Tensor, nn

import pcclust
from pcclust.nn import DGCNN, ClusterNet, PointNet, RRIModule
from tests.nn.example_clouds import relative


class Neighborhoods(nn.Module):
    """An RRI module and the features that it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.module = RRIModule(16)

    def forward(self, points: Tensor) -> Tensor:
        described: Tensor = self.module(pcclust.rri(points, 8))
        return described


NETWORKS = {
    "ClusterNet": lambda: ClusterNet((9,), (6, 5), ((8,), (8,)), embedding=8),
    "DGCNN": lambda: DGCNN(k=6, channels=(8, 8), embedding=16, input_transform=True),
    "PointNet": lambda: PointNet(feature_transform=True, embedding=16),
    "RRIModule": Neighborhoods,
}
SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("DGCNN", "PointNet", "RRIModule")]


def shapes(count: int, points: int = 60) -> Tensor:
    return torch.randn(count, points, 3, generator=torch.Generator().manual_seed(count))


def warm(name: str) -> nn.Module:
    torch.manual_seed(0)
    network = NETWORKS[name]()
    with torch.no_grad():
        network(shapes(6))
    return network.eval()


@pytest.mark.parametrize("name", ["ClusterNet", *SLOW])
def test_an_exported_network_takes_any_number_of_clouds(name: str) -> None:
    network, batch = warm(name), torch.export.Dim("batch", min=1, max=64)
    exported = torch.export.export(network, (shapes(3),), dynamic_shapes=({0: batch},)).module()
    for count in (1, 2, 5):
        assert relative(exported(shapes(count)), network(shapes(count))) < 1e-5


@pytest.mark.parametrize("name", [pytest.param("ClusterNet", marks=pytest.mark.slow), *SLOW])
@pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
def test_a_compiled_network_is_one_graph(name: str, backend: str) -> None:
    network = warm(name)
    compiled = torch.compile(network, fullgraph=True, dynamic=True, backend=backend)
    with torch.no_grad():
        for count in (2, 3, 5):
            assert relative(compiled(shapes(count)), network(shapes(count))) < 1e-5


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_a_compiled_network_learns_the_same(name: str) -> None:
    plain = warm(name).train()
    other = copy.deepcopy(plain)
    compiled = torch.compile(other, fullgraph=True, backend="aot_eager")
    for network in (plain, compiled):
        y = network(shapes(4))
        y.square().sum().backward()
    for ours, theirs in zip(other.parameters(), plain.parameters(), strict=True):
        if theirs.grad is not None:
            assert relative(ours.grad, theirs.grad) < 1e-4
    for ours, theirs in zip(other.buffers(), plain.buffers(), strict=True):
        assert relative(ours.double(), theirs.double()) < 1e-5


@pytest.mark.slow
def test_clusters_that_are_given_enter_a_graph() -> None:
    network = warm("ClusterNet")
    clusters = pcclust.nn.ward_hierarchy(shapes(3), network.num_clusters)
    compiled = torch.compile(network, fullgraph=True, backend="aot_eager")
    found = compiled(shapes(3), clusters=clusters)
    assert relative(found, network(shapes(3), clusters=clusters)) < 1e-5


def test_fewer_points_than_clusters_are_one_cluster_each() -> None:
    few = shapes(3, 12)
    labels = pcclust.nn.ward_hierarchy(few, [16, 9])
    assert labels.shape == (3, 12, 2)
    for cloud, found in zip(few, labels, strict=True):
        assert torch.equal(found, pcclust.ward_labels(cloud, [12, 9]).T)
