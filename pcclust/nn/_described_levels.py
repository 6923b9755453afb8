"""The levels of a hierarchy of clusters, as the network over them wants them: in one pose or more.

All of it but positions is the same in every pose of a cloud, so it is worked out once.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.nn._cluster_geometry import Grouping, Nodes
from pcclust.nn._packed import Sizes, Uniform, cloud_of_rows, count_rows


class Level(NamedTuple):
    """The points, or the clusters of one level, of all clouds.

    Attributes:
        nodes: where they are.
        neighbors: ``(M, k)`` the neighbours of each, as positions in its cloud.
        described: ``(M, channels)`` each, what RRI modules make of their neighbourhoods.
        grouping: how they make up the clusters of the next level; None for the last.
    """

    nodes: Nodes
    neighbors: Tensor
    described: list[Tensor]
    grouping: Grouping | None


def in_poses(level: Level, turns: Tensor, clouds: Tensor) -> Level:
    """Returns the level of clouds that are taken several times, each turned in its own way.

    Args:
        level: of clouds as they are.
        turns: ``(P, 3, 3)`` float64, which rows of positions are multiplied by.
        clouds: ``(P,)`` the cloud of each pose, ascending.
    """
    rows, nodes = _repeated(level.nodes, turns, clouds)
    neighbors, described = level.neighbors[rows], [each[rows] for each in level.described]
    grouping = level.grouping
    if grouping is not None:
        cluster_rows, clusters = _repeated(grouping.clusters, turns, clouds)
        of_clusters = clusters.offsets[:-1] - grouping.clusters.offsets[clouds]
        owners = grouping.owners[rows] + of_clusters[cloud_of_rows(nodes.sizes, rows.device)]
        places, shapes = grouping.places[rows], grouping.shapes[cluster_rows]
        grouping = Grouping(owners, clusters, places, shapes)
    return Level(nodes, neighbors, described, grouping)


def _repeated(nodes: Nodes, turns: Tensor, clouds: Tensor) -> tuple[Tensor, Nodes]:
    """Returns which row each row of the poses comes from, and the nodes of the poses."""
    counts = nodes.offsets.diff()[clouds]
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(dim=0)])
    sizes: Sizes
    if isinstance(nodes.sizes, Uniform):
        sizes = Uniform(len(clouds), nodes.sizes.rows)
    else:
        sizes = [nodes.sizes[cloud] for cloud in clouds.tolist()]
    shift = offsets[:-1] - nodes.offsets[clouds]
    rows = torch.arange(count_rows(sizes), device=clouds.device)
    rows = rows - shift[cloud_of_rows(sizes, clouds.device)]
    return rows, Nodes(_turned(nodes.positions[rows], sizes, turns), offsets, sizes)


def _turned(positions: Tensor, sizes: Sizes, turns: Tensor) -> Tensor:
    if isinstance(sizes, Uniform) or len(set(sizes)) == 1:
        return (positions.view(len(turns), -1, 3) @ turns).flatten(0, 1)
    parts = torch.split(positions, sizes)
    return torch.cat([part @ turn for part, turn in zip(parts, turns, strict=True)])
