"""`tie_margins`: known margins, a slow reference, and that ties are what moves the output."""

import math

import pytest
import torch

from pcclust.nn import ClusterNet, tie_margins
from tests.nn.example_clouds import objects, rotations, small_backbone

GRAPHS = ([], [], [])


def scatter(count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, count, 3, generator=generator, dtype=torch.float64)


def extent(cloud: torch.Tensor) -> float:
    return float((cloud - cloud.mean(dim=0)).norm(dim=1).max())


def greedy_merges(cloud: torch.Tensor) -> tuple[list[float], list[float], list[list[list[int]]]]:
    """Merges the cheapest pair until one is left: heights, margins, and the clusters before."""
    clusters, heights, margins, before = [[i] for i in range(len(cloud))], [], [], []
    while len(clusters) > 1:
        before.append(list(clusters))
        found = sorted(
            (math.sqrt(2 * len(a) * len(b) / (len(a) + len(b))) * _apart(cloud, a, b), i, j)
            for i, a in enumerate(clusters)
            for j, b in enumerate(clusters[:i])
        )
        height, i, j = found[0]
        heights.append(height)
        margins += [other - height for other, *pair in found[1:] if {i, j} & set(pair)]
        merged = clusters[i] + clusters[j]
        clusters = [one for number, one in enumerate(clusters) if number not in (i, j)] + [merged]
    return heights, margins, before


def _apart(cloud: torch.Tensor, a: list[int], b: list[int]) -> float:
    return float((cloud[a].mean(dim=0) - cloud[b].mean(dim=0)).norm())


def neighbor_margin(nodes: torch.Tensor, k: int) -> float:
    ordered = torch.cdist(nodes, nodes).sort(dim=1).values
    return float((ordered[:, k + 1] - ordered[:, k]).min())


@pytest.mark.parametrize("seed", range(4))
def test_each_margin_is_that_of_trying_all_pairs(seed: int) -> None:
    (cloud,) = points = scatter(24, seed)
    heights, merges, before = greedy_merges(cloud)
    size = extent(cloud)
    assert float(tie_margins(points, (24,), GRAPHS[:2])) == pytest.approx(min(merges) / size)
    cut = heights[24 - 6] - heights[24 - 7]
    expected = min(min(merges), cut) / size
    assert float(tie_margins(points, (6,), GRAPHS[:2])) == pytest.approx(expected)
    centers = torch.stack([cloud[members].mean(dim=0) for members in before[24 - 6]])
    for graphs in (([5], []), ([], [3]), ([2, 7], [4])):
        pairs = zip((cloud, centers), graphs, strict=True)
        near = [neighbor_margin(nodes, k) for nodes, ks in pairs for k in ks]
        found = float(tie_margins(points, (6,), graphs))
        assert found == pytest.approx(min(min(merges), cut, *near) / size)


def test_margins_mind_neither_place_nor_size_nor_turn_nor_padding() -> None:
    points, settings = scatter(40), ((10, 3), ([6], [4], []))
    expected = tie_margins(points, *settings)
    for rotation in rotations(2):
        moved = 7 * points @ rotation.t() + 2
        torch.testing.assert_close(tie_margins(moved, *settings), expected, rtol=1e-7, atol=1e-9)
    padded = torch.cat([points, torch.full((1, 5, 3), 9.0)], dim=1)
    found = tie_margins(padded, *settings, torch.tensor([40]))
    torch.testing.assert_close(found, expected)


def test_coincident_points_are_no_tie_and_small_clouds_have_no_choice() -> None:
    points = scatter(9)
    doubled = points.repeat(1, 2, 1)
    assert float(tie_margins(doubled, (9,), ([2], []))) > 1e-3
    assert tie_margins(points[:, :2], (8, 2), ([1], [1], [])).tolist() == [math.inf]
    assert tie_margins(points[:, :1].repeat(1, 4, 1), (2,), ([1], [])).tolist() == [math.inf]
    assert tie_margins(points[:0], (8,), ([1], [])).shape == (0,)


def test_symmetric_shapes_have_near_ties_and_others_none() -> None:
    network = small_backbone("clusternet")
    lattice = torch.cartesian_prod(*[torch.arange(6.0)] * 3)
    angles = torch.arange(200) * (2 * math.pi / 200)
    ring = torch.stack([angles.cos(), angles.sin(), 0 * angles], dim=1)
    half = scatter(100)[0].float()
    mirrored = torch.cat([half, half * torch.tensor([-1.0, 1, 1])])
    for shape in (lattice, ring, mirrored):
        turned = (shape.double() @ rotations(1)[0].t()).float()
        assert network.near_ties(torch.stack([shape, turned])).tolist() == [True, True]
    assert network.near_ties(objects(4, 100), margin=1e-9).tolist() == [False] * 4
    # What is a tie to weights in float32 is none in float64.
    close = objects(4, 200, torch.float64)
    assert not bool(small_backbone("clusternet", torch.float64).near_ties(close).any())


def test_what_moves_has_near_ties() -> None:
    # The middle one of three clusters of equal size could merge with either of the others.
    blob = 0.02 * scatter(70, 3)[0]
    line = torch.cat([blob + torch.tensor([x, 0.0, 0]) for x in (-1.0, 0, 1)])[None].float()
    network = small_backbone("clusternet").eval()
    turned = torch.cat([(line.double() @ rotation.t()).float() for rotation in rotations(12)])
    with torch.no_grad():
        moved = (network(turned) - network(line)).norm(dim=1) / network(line).norm()
    assert float(moved.max()) > 1e-4
    assert bool(network.near_ties(line))
    assert bool(network.near_ties(turned).all())


def test_settings_of_wide_neighbours_count() -> None:
    # Two points as far from the first, which only the wider neighbourhood could reach.
    network = ClusterNet((4,), (1, 1), ((4,), (4,)), embedding=4, wide_neighbors=(2,))
    line = torch.tensor([0.0, 1, 2.5, -2.5, 7.1, 12.3, 19.9])[:, None] * torch.tensor([1.0, 0, 0])
    narrow = ClusterNet((4,), (1, 1), ((4,), (4,)), embedding=4)
    assert network.near_ties(line[None]).tolist() == [True]
    assert narrow.near_ties(line[None]).tolist() == [False]
