"""ClusterNet, whose output does not turn with the shape."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._cluster_geometry import Grouping, Nodes, group, neighborhoods, point_nodes
from pcclust.nn._described_levels import Level, in_poses
from pcclust.nn._packed import Packed, Uniform, count_clouds, pack
from pcclust.nn.cloud_pooling import CloudPooling
from pcclust.nn.cluster_abstraction import ClusterAbstraction
from pcclust.nn.cluster_level import ClusterLevel
from pcclust.nn.tie_margins import tie_margins
from pcclust.nn.ward_hierarchy import check_levels, ward_hierarchy
from pcclust.ops._clouds import working_dtype

PLACE_CHANNELS = 4
SHAPE_CHANNELS = 4
COORDINATES = 3
NEAR = 4.0  # times the rounding of a coordinate; see `ClusterNet.near_ties`


class ClusterNet(nn.Module):
    """Describes a cloud over a hierarchy of its clusters, in numbers that no rotation changes.

    Every point gets the features of its neighbourhood (RRI, then `RRIModule`), EdgeConvs pass them
    along the graph of neighbours, and `ClusterAbstraction` pools them in Ward clusters, level by
    level up to one vector. Only lengths and angles enter, so the output is the same for a turned
    cloud, up to rounding.

    The paper fixes RRI, the RRI module, EdgeConv, and pooling over a hierarchy of clusters. Our
    choice are all sizes, the Ward linkage, and what clusters know beside their pooled features:
    the RRI of their centroids, their principal deviations and sizes, and how their members lie in
    them; that the maxima and means of every level, not of the last alone, make the output; and that
    the gap φ of a neighbour fades to 0 as it meets the neighbour before it, where rounding would
    decide which of the two has the gap.

    Args:
        num_clusters: clusters of each level, finest first.
        neighbors: neighbours of each point, then of each cluster of each level.
        channels: of the EdgeConvs of points, then of the one of each level.
        embedding: channels that are pooled at each level.
        negative_slope: of the LeakyReLUs.
        wide_neighbors: for each level an RRI module more, of so many neighbours, which see more of
            the shape than those of ``neighbors``; 0 or leaving levels out for none. 127 of the 128
            clusters are all the others.
        coordinates: whether the layers also get where points and clusters are, in x, y and z from
            the centroid, and members where they are from the centroid of their cluster. The output
            then depends on how the cloud is turned: `CanonicalPose` takes that away again.

    Attributes:
        out_channels: twice ``embedding`` for the points and for each level.

    Source: Chen et al., "ClusterNet: Deep Hierarchical Cluster Network with Rigorously
    Rotation-Invariant Representation for Point Cloud Analysis" (2019).

    Example:
        >>> import torch
        >>> from pcclust.nn import ClusterNet
        >>> ClusterNet()(torch.rand(2, 200, 3)).shape
        torch.Size([2, 2048])
    """

    def __init__(
        self,
        num_clusters: Sequence[int] = (128, 32, 8),
        neighbors: Sequence[int] = (20, 16, 8, 7),
        channels: Sequence[Sequence[int]] = ((64, 128), (256,), (256,), (512,)),
        embedding: int = 256,
        negative_slope: float = 0.2,
        wide_neighbors: Sequence[int] = (),
        coordinates: bool = False,
    ) -> None:
        super().__init__()
        self.num_clusters = tuple(check_levels(num_clusters))
        self.neighbors, self.coordinates = tuple(neighbors), coordinates
        self.wide_neighbors = (*wide_neighbors, *[0] * (len(neighbors) - len(wide_neighbors)))
        _check_sizes(self.num_clusters, self.neighbors, len(channels))
        _check_sizes(self.num_clusters, self.wide_neighbors, len(channels))
        placed = COORDINATES if coordinates else 0
        self.levels, self.abstractions = nn.ModuleList(), nn.ModuleList()
        self.poolings = nn.ModuleList()
        slope, incoming = negative_slope, 0
        for widths, wide in zip(channels, self.wide_neighbors, strict=True):
            level = ClusterLevel(incoming + placed, widths, wide=wide > 0, negative_slope=slope)
            pooling = CloudPooling(level.out_channels, embedding, negative_slope=slope, mean=True)
            self.levels.append(level)
            self.poolings.append(pooling)
            if len(self.abstractions) < len(self.num_clusters):
                members = level.out_channels + PLACE_CHANNELS + placed
                incoming = channels[len(self.levels)][-1]
                self.abstractions.append(
                    ClusterAbstraction(members, incoming, negative_slope=slope)
                )
                incoming += SHAPE_CHANNELS
        self.out_channels = 2 * embedding * len(self.levels)

    def forward(
        self, points: Tensor, *, lengths: Tensor | None = None, clusters: Tensor | None = None
    ) -> Tensor:
        """Describes each cloud by one vector.

        Args:
            points: ``(B, N, 3)``, in units of about their extent: lengths enter as they are.
            lengths: ``(B,)`` the points of each cloud of a padded batch; padding takes no part.
            clusters: ``(B, N, levels)`` as `ward_hierarchy` returns them for ``num_clusters``;
                computed from ``points`` if None. A compiled network cannot check that all clouds
                have all of them.

        Returns:
            ``(B, out_channels)`` of the dtype of the weights.

        Raises:
            TypeError: wrong type or dtype.
            ValueError: wrong shape, NaN or inf, bad lengths, a cloud of too few points for
                ``neighbors``, or clusters that are not nested.
        """
        clouds = pack(points, lengths)
        if count_clouds(clouds.sizes) == 0:
            return next(self.parameters()).new_zeros(0, self.out_channels)
        return self._pooled(self._described(clouds, points, lengths, clusters))

    def of_poses(
        self, points: Tensor, turns: Tensor, clouds: Tensor, *, lengths: Tensor | None = None
    ) -> Tensor:
        """Describes clouds in several poses, of which neighbours, RRI and clusters are found once.

        Args:
            points: as for `forward`, with the centroid in the origin.
            turns: ``(P, 3, 3)`` rotations; in the pose of one a cloud is ``points @ turn``.
            clouds: ``(P,)`` int64, the cloud of each pose, ascending.
            lengths: as for `forward`.

        Returns:
            ``(P, out_channels)``, as `forward` has it of the turned clouds, to rounding.

        Raises:
            TypeError: as `forward`.
            ValueError: as `forward`.

        Example:
            >>> import torch
            >>> from pcclust.nn import ClusterNet
            >>> network, cloud = ClusterNet(coordinates=True).eval(), torch.rand(1, 200, 3)
            >>> half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))
            >>> poses = torch.stack([torch.eye(3), half_turn])
            >>> network.of_poses(cloud, poses, torch.tensor([0, 0])).shape
            torch.Size([2, 2048])
        """
        if not self.coordinates or len(clouds) == 0:
            of_clouds: Tensor = self(points, lengths=lengths)
            return of_clouds[clouds]
        levels = self._described(pack(points, lengths), points, lengths)
        return self._pooled([in_poses(level, turns.double(), clouds) for level in levels])

    def near_ties(
        self, points: Tensor, *, lengths: Tensor | None = None, margin: float | None = None
    ) -> Tensor:
        """Says of which clouds rounding may choose the neighbours or clusters.

        Which neighbours a point and which clusters a cloud has are choices, and where two are as
        good a turned cloud may get the other one: its output then moves, seldom but sometimes by a
        tenth of its length. Our choice is to say so and not to smooth it: the output of clouds
        without near ties moves by rounding alone. Lattices and symmetric shapes have ties, and one
        in six shapes sampled from ModelNet40 by chance, of which few move.

        A coordinate of a cloud about the origin is wrong by up to a quarter of ``eps`` of its
        extent, after a turn and once more in the layers. So the difference of two distances is
        wrong by up to ``4 * sqrt(3) / 4 * 2 = 3.5`` of it, which `NEAR` rounds up to 4.

        Args:
            points: as for `forward`.
            lengths: as for `forward`.
            margin: below this value of `tie_margins`, relative to a cloud's extent, is near; if
                None `NEAR` times the rounding of the points and the weights.

        Returns:
            ``(B,)`` bool.

        Raises:
            TypeError: as `forward`.
            ValueError: wrong shape, NaN or inf, or bad lengths.

        Example:
            >>> import torch
            >>> from pcclust.nn import ClusterNet
            >>> lattice = torch.cartesian_prod(*[torch.arange(6.0)] * 3)
            >>> ClusterNet().near_ties(lattice[None])
            tensor([True])
        """
        if margin is None:
            dtypes = (points.dtype, working_dtype(next(self.parameters()).dtype))
            margin = NEAR * max(torch.finfo(dtype).eps for dtype in dtypes)
        graphs = tuple(zip(self.neighbors, self.wide_neighbors, strict=True))
        return tie_margins(points, self.num_clusters, graphs, lengths) < margin

    def _described(
        self,
        clouds: Packed,
        points: Tensor,
        lengths: Tensor | None,
        clusters: Tensor | None = None,
    ) -> list[Level]:
        """Returns the levels of the hierarchy, described as far as no pose matters."""
        if clusters is None:
            clusters = ward_hierarchy(points, self.num_clusters, lengths)
        labels = self._packed_labels(clusters, points, clouds)
        dtype = working_dtype(next(self.parameters()).dtype)
        all_points = nodes = point_nodes(clouds)
        of_points = torch.arange(nodes.positions.shape[0], device=labels.device)
        found = []
        for depth, (k, wide) in enumerate(zip(self.neighbors, self.wide_neighbors, strict=True)):
            rri, nearest = neighborhoods(nodes, k, dtype)
            wide_rri = neighborhoods(nodes, wide, dtype)[0] if wide else None
            described = self._level(depth).describe(rri, wide_rri)
            grouping: Grouping | None = None
            if depth < len(self.num_clusters):
                most = self.num_clusters[depth]
                grouping, of_points = group(all_points, nodes, of_points, labels[:, depth], most)
            found.append(Level(nodes, nearest, described, grouping))
            nodes = nodes if grouping is None else grouping.clusters
        return found

    def _level(self, depth: int) -> ClusterLevel:
        level = self.levels[depth]
        assert isinstance(level, ClusterLevel)
        return level

    def _pooled(self, levels: list[Level]) -> Tensor:
        """Returns what the layers make of the levels, one vector of each cloud."""
        dtype = next(self.parameters()).dtype
        x: Tensor | None = None  # what clusters know of their members
        pooled = []
        for depth, (nodes, neighbors, described, grouping) in enumerate(levels):
            if self.coordinates:
                positions = nodes.positions.to(dtype)
                x = positions if x is None else torch.cat([x, positions.to(x)], dim=1)
            parts = self._level(depth)(x, described, neighbors, nodes)
            pooled.append(self.poolings[depth](parts, nodes.sizes))
            if grouping is not None:
                members = self._members(parts, nodes, grouping)
                count = grouping.clusters.positions.shape[0]
                x = self.abstractions[depth](members, grouping.owners, count)
                x = torch.cat([x, grouping.shapes.to(x)], dim=1)
        return torch.cat(pooled, dim=1)

    def _members(self, parts: list[Tensor], nodes: Nodes, grouping: Grouping) -> list[Tensor]:
        """Returns what is known of the members of clusters, side by side."""
        members = [*parts, grouping.places.to(parts[0])]
        if self.coordinates:
            centers = grouping.clusters.positions[grouping.owners]
            members.append((nodes.positions - centers).to(parts[0]))
        return members

    def _packed_labels(self, clusters: Tensor, points: Tensor, clouds: Packed) -> Tensor:
        """Checks labels and returns ``(ΣN, levels)`` of them, without padding."""
        shape = (*points.shape[:2], len(self.num_clusters))
        if clusters.shape != shape or clusters.is_floating_point():
            raise ValueError(
                f"clusters must be {shape} integers, got {tuple(clusters.shape)} {clusters.dtype}"
            )
        if isinstance(clouds.sizes, Uniform):
            return clusters.flatten(0, 1).long()
        rows = torch.arange(points.shape[1], device=points.device)
        inside = rows < clouds.offsets.diff()[:, None]
        labels = clusters[inside].long()
        if int(labels.min()) < 0:
            raise ValueError(f"clusters hold {int(labels.min())} for a point that is no padding")
        return labels


def _check_sizes(num_clusters: Sequence[int], neighbors: Sequence[int], channels: int) -> None:
    """Raises ValueError unless there are neighbours and channels for points and every level."""
    levels = len(num_clusters) + 1
    if len(neighbors) != levels or channels != levels:
        raise ValueError(
            f"{levels - 1} levels of clusters need {levels} neighbors and channels (the points' "
            f"first), got {len(neighbors)} and {channels}"
        )
    for count, k in zip(num_clusters, neighbors[1:], strict=True):
        if k >= count:
            raise ValueError(f"neighbors={k} exceeds the {count - 1} other clusters of its level")
