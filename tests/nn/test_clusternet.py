"""`pcclust.nn.ClusterNet`: invariance, its clusters, and its pooling cluster by cluster."""

import pytest
import torch
from scipy.cluster import hierarchy
from torch import nn

from pcclust.nn import CanonicalPose, ClusterAbstraction, ClusterNet, ward_hierarchy
from tests.nn.example_clouds import objects, relative, rotations, small_backbone
from tests.ops.sample_clouds import same_bits


def test_rotation_changes_nothing() -> None:
    network, points = small_backbone("clusternet").eval(), objects(4, 200)
    expected = network(points)
    for rotation in rotations(5):
        turned = (points.double() @ rotation.t()).float()
        assert not torch.allclose(turned, points, atol=0.1)
        changes = (network(turned) - expected).norm(dim=1) / expected.norm(dim=1)
        assert float(changes.max().detach()) < 1e-4


def test_rotation_changes_nothing_of_a_flat_shape() -> None:
    # Every neighbour lies in one of two directions; rounding decides which comes first.
    network, points = small_backbone("clusternet").eval(), objects(4, 200)
    points = points * torch.tensor([1.0, 1.0, 0.0])
    expected = network(points)
    for rotation in rotations(5):
        found = network((points.double() @ rotation.t()).float())
        assert float(((found - expected).norm(dim=1) / expected.norm(dim=1)).max().detach()) < 1e-4


def test_rotation_changes_nothing_in_double() -> None:
    network = small_backbone("clusternet", torch.float64).eval()
    points = objects(4, 200, torch.float64)
    for rotation in rotations(3):
        assert relative(network(points @ rotation.t() + 0.7), network(points)) < 1e-9


def test_mirrored_shapes_are_told_apart() -> None:
    network, points = small_backbone("clusternet").eval(), objects(4, 100)
    mirrored = network(points * torch.tensor([1.0, 1.0, -1.0]))
    assert relative(mirrored, network(points)) > 1e-3


def test_clusters_are_wards() -> None:
    points = objects(3, 80)
    labels = ward_hierarchy(points, (20, 5, 2))
    assert labels.shape == (3, 80, 3)
    for cloud, found in zip(points, labels, strict=True):
        tree = hierarchy.linkage(cloud.double().numpy(), "ward")
        for level, count in enumerate((20, 5, 2)):
            expected = torch.from_numpy(hierarchy.fcluster(tree, count, "maxclust"))
            pairs = torch.stack([found[:, level], expected.long()], dim=1).unique(dim=0)
            assert len(pairs) == count


def test_small_clouds_have_a_cluster_for_each_point() -> None:
    points, lengths = objects(3, 40), torch.tensor([40, 9, 3])
    labels = ward_hierarchy(points, (16, 4), lengths)
    assert labels.amax(dim=1).tolist() == [[15, 3], [8, 3], [2, 2]]
    for cloud, length in enumerate(lengths.tolist()):
        assert (labels[cloud, length:] == -1).all()
        alone = ward_hierarchy(points[cloud : cloud + 1, :length], (16, 4))[0]
        assert torch.equal(labels[cloud, :length], alone)
    network = small_backbone("clusternet").eval()
    expected = network(points[1:2, :9])
    assert relative(network(points[:2], lengths=lengths[:2])[1:], expected) < 2e-6


def test_clusters_from_a_cache_serve_a_turned_cloud() -> None:
    network, points = small_backbone("clusternet").eval(), objects(3, 100)
    cached = ward_hierarchy(points, network.num_clusters)
    assert same_bits(network(points, clusters=cached), network(points))
    shuffled = torch.randperm(12)[cached[..., 0]]
    renamed = torch.stack([shuffled, cached[..., 1]], dim=-1)
    assert relative(network(points, clusters=renamed), network(points)) < 1e-5


def test_abstraction_pools_cluster_by_cluster() -> None:
    torch.manual_seed(0)
    layer = ClusterAbstraction(5, 9).double()
    x, clusters = torch.randn(60, 5).double().requires_grad_(), torch.arange(60) * 7 % 11
    y = x @ layer.layer[0].weight.t()
    y = (y - y.mean(dim=0)) / (y.var(dim=0, correction=0) + 1e-5).sqrt()
    y = nn.functional.leaky_relu(y, 0.2)
    expected = torch.stack([y[clusters == cluster].amax(dim=0) for cluster in range(11)])
    found = layer(x, clusters, 11)
    assert relative(found, expected) < 1e-12
    weights = torch.randn(11, 9).double()
    ours, theirs = (torch.autograd.grad((z * weights).sum(), x)[0] for z in (found, expected))
    assert relative(ours, theirs) < 1e-9


def test_levels_can_be_chosen() -> None:
    network = ClusterNet((6,), (5, 4), ((8,), (16,)), embedding=8)
    assert network(objects(2, 30)).shape == (2, network.out_channels) == (2, 32)


WIDE = {"wide_neighbors": (0, 11)}


def test_wider_neighborhoods_are_seen_and_rotation_still_changes_nothing() -> None:
    network, points = small_backbone("clusternet", more=WIDE).eval(), objects(4, 200)
    expected = network(points)
    turned = (points.double() @ rotations(1)[0].t()).float()
    assert relative(network(turned), expected) < 1e-3
    names = {name.split(".")[1] for name in network.state_dict() if "wide_module" in name}
    assert names == {"1"}
    with torch.no_grad():
        network.levels[1].wide_module.linear1.weight.mul_(2)
    changed = network(points)
    assert torch.equal(changed[:, :32], expected[:, :32])
    assert relative(changed[:, 32:], expected[:, 32:]) > 1e-3


def test_coordinates_tell_how_a_cloud_is_turned_and_canonical_poses_take_it_away() -> None:
    network = small_backbone("clusternet", torch.float64, more={"coordinates": True}).eval()
    points = objects(4, 200, torch.float64)
    turned = points @ rotations(1)[0].t() + 0.7
    assert relative(network(turned), network(points)) > 1e-2
    assert relative(network(points + 0.7), network(points)) < 1e-9
    model = CanonicalPose(network).eval()
    assert relative(model(turned), model(points)) < 1e-9


@pytest.mark.parametrize("lengths", [None, torch.tensor([100, 60, 80])])
@pytest.mark.parametrize("coordinates", [True, False])
def test_poses_at_once_are_turned_clouds_one_by_one(
    lengths: torch.Tensor | None, coordinates: bool
) -> None:
    more = {"coordinates": coordinates} | WIDE
    network = small_backbone("clusternet", torch.float64, more=more).eval()
    points, clouds, turns = objects(3, 100, torch.float64), [0, 0, 1, 2, 2, 2], rotations(6)
    points.requires_grad_()
    for grad in (True, False):
        with torch.set_grad_enabled(grad):  # the layers written out, and those in one operator
            found = network.of_poses(points, turns, torch.tensor(clouds), lengths=lengths)
            for row, cloud, turn in zip(found, clouds, turns, strict=True):
                alone = points[cloud, : 100 if lengths is None else lengths[cloud]]
                expected = network((alone @ turn)[None])[0]
                assert relative(row, expected) < 1e-9
                if grad:
                    ours, theirs = (
                        torch.autograd.grad(y.square().sum(), points, retain_graph=True)[0]
                        for y in (row, expected)
                    )
                    assert relative(ours[cloud, :60], theirs[cloud, :60]) < 1e-6
    assert network.of_poses(points, turns[:0], torch.tensor([], dtype=torch.int64)).shape[0] == 0


def test_canonical_poses_cost_one_hierarchy_of_each_cloud(monkeypatch) -> None:
    network = small_backbone("clusternet", more={"coordinates": True})
    counted = []

    def counting(points: torch.Tensor, *given: object) -> torch.Tensor:
        counted.append(len(points))
        return ward_hierarchy(points, *given)

    monkeypatch.setattr("pcclust.nn.clusternet.ward_hierarchy", counting)
    CanonicalPose(network).eval()(objects(3, 100))
    assert counted == [3]


def test_padding_takes_no_part_in_coordinates_and_wide_neighborhoods() -> None:
    network = small_backbone("clusternet", more={"coordinates": True} | WIDE).eval()
    points, lengths = objects(2, 100), torch.tensor([100, 60])
    expected = network(points[1:, :60])
    assert relative(network(points, lengths=lengths)[1:], expected) < 2e-6


def test_too_many_wide_neighbors_are_refused() -> None:
    with pytest.raises(ValueError, match="neighbors=128 exceeds the 127"):
        ClusterNet(wide_neighbors=(0, 128))


def test_gradient_of_the_points() -> None:
    network = small_backbone("clusternet", torch.float64).eval()
    points, step = objects(1, 40, torch.float64).requires_grad_(), 1e-7
    clusters = ward_hierarchy(points, network.num_clusters)
    direction = torch.randn(1, 40, 3, generator=torch.Generator().manual_seed(0)).double()

    def loss(points: torch.Tensor) -> torch.Tensor:
        return network(points, clusters=clusters).square().sum()

    (slope,) = torch.autograd.grad(loss(points), points)
    with torch.no_grad():
        ahead, behind = loss(points + step * direction), loss(points - step * direction)
    assert float((ahead - behind) / (2 * step)) == pytest.approx(
        float((slope * direction).sum()), rel=1e-4
    )


def test_wrong_input_is_named() -> None:
    network, points = small_backbone("clusternet"), objects(2, 40)
    clusters = ward_hierarchy(points, network.num_clusters)
    for wrong, message in (
        (clusters[..., :1], r"clusters must be \(2, 40, 2\) integers, got \(2, 40, 1\)"),
        (clusters.float(), "torch.float32"),
        (torch.cat([clusters[..., :1], clusters[..., 1:].roll(1, 1)], dim=2), "not nested"),
        (clusters - 1, "clusters hold -1"),
    ):
        with pytest.raises(ValueError, match=message):
            network(points, clusters=wrong)
    with pytest.raises(ValueError, match="k=6 exceeds the 5 other points of cloud 1"):
        network(points, lengths=torch.tensor([40, 6]))
    with pytest.raises(ValueError, match="finest first"):
        ClusterNet((8, 32))
    with pytest.raises(ValueError, match="need 4 neighbors and channels"):
        ClusterNet(neighbors=(20, 16))
    with pytest.raises(ValueError, match="neighbors=8 exceeds the 7 other clusters"):
        ClusterNet(neighbors=(20, 16, 8, 8))
