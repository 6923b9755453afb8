"""All neighbours within a radius."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._checks import require
from pcclust.ops._clouds import Clouds, check_count, flatten, per_point
from pcclust.ops._distance import gathered_distances, nearest_rows, query_rows
from pcclust.ops._magnitude import brought_near, of_rows
from pcclust.ops._registry import call, declare
from pcclust.ops.knn import differentiable_distances, flatten_queries, search_arguments


class Ball(NamedTuple):
    """What `ball_query` returns: the nearest points within the radius and how many there are."""

    distances: Tensor
    indices: Tensor
    counts: Tensor


@accepts_numpy
def ball_query(
    points: Tensor,
    radius: float,
    max_neighbors: int,
    *,
    queries: Tensor | None = None,
    exclude_self: bool = False,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
    query_lengths: Tensor | None = None,
    query_offsets: Tensor | None = None,
) -> Ball:
    """Finds the neighbours of each query within a radius, nearest first, up to a maximum.

    The ball is closed (a distance equal to the radius is inside), and where it holds more than
    ``max_neighbors`` points the nearest are returned, not the first found.

    Args:
        points: as for `knn`.
        radius: in the unit of the points; at least 0.
        max_neighbors: columns of the result, at least 1; it may exceed the points of a cloud.
        queries: as for `knn`.
        exclude_self: as for `knn`.
        lengths: as for `knn`.
        offsets: as for `knn`.
        batch: as for `knn`.
        query_lengths: as for `knn`.
        query_offsets: as for `knn`.

    Returns:
        ``Ball(distances, indices, counts)``: squared distances and int64 indices of the queries'
        leading shape plus ``(max_neighbors,)``, inf and -1 where there is no neighbour, and the
        int64 number of neighbours returned for each query.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: negative or NaN radius, and as for `knn`.

    Example:
        >>> import torch, pcclust
        >>> line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
        >>> ball = pcclust.ball_query(line, radius=1.0, max_neighbors=2)
        >>> ball.indices.tolist(), ball.counts.tolist()
        ([[0, 1], [1, 0], [2, -1]], [2, 2, 1])
    """
    radius = checked_radius(radius)
    clouds = flatten(points, lengths, offsets, batch=batch)
    asked = flatten_queries(clouds, queries, query_lengths, query_offsets, exclude_self)
    check_count(max_neighbors, clouds._replace(smallest=None), "max_neighbors")
    distances, indices, counts = ball_search(clouds, asked, radius, max_neighbors, exclude_self)
    distances = differentiable_distances(clouds, asked, distances, indices)
    source = asked or clouds
    return Ball(*(per_point(result, source) for result in (distances, indices, counts)))


def ball_search(
    clouds: Clouds, asked: Clouds | None, radius: float, max_neighbors: int, exclude_self: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns distances, indices and counts by the operator, for clouds of any magnitude."""
    near = brought_near(clouds, asked)
    arguments = search_arguments(near.clouds, near.asked)
    if near.factors is None:
        found: tuple[Tensor, Tensor, Tensor] = call(
            "ball_query", *arguments, radius, max_neighbors, exclude_self
        )
        return found
    # The operator takes one radius, but every cloud has its own scale: the nearest, then a cut.
    distances, indices, _ = call("ball_query", *arguments, math.inf, max_neighbors, exclude_self)
    radii = of_rows(near.factors, clouds if asked is None else asked).double() * radius
    limits = radii.to(distances.dtype).square()
    indices = torch.where(distances <= limits, indices, -1)
    counts = (indices >= 0).sum(dim=-1)
    return gathered_distances(clouds, asked, indices), indices, counts


def checked_radius(radius: float) -> float:
    """Returns the radius, which must be a number and at least 0; inf holds everything."""
    numbers = (int, float, np.integer, np.floating, torch.SymInt, torch.SymFloat)
    if isinstance(radius, bool) or not isinstance(radius, numbers):
        raise TypeError(f"radius must be a number, got {type(radius).__name__}")
    if not radius >= 0:
        raise ValueError(f"radius={radius} must be at least 0")
    return float(radius)


def _ball_query_torch(
    points: Tensor,
    starts: Tensor,
    sizes: Tensor,
    queries: Tensor | None,
    query_starts: Tensor | None,
    query_sizes: Tensor | None,
    packed: bool,
    radius: float,
    max_neighbors: int,
    exclude_self: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    asked = query_rows((points, starts, sizes), (queries, query_starts, query_sizes))
    require(radius >= 0, f"radius must be at least 0, got {radius}")
    # Rounded to the points' dtype before it is squared, as the kernels do: a neighbour at 0.1 along
    # an axis is within a radius of 0.1 in every precision.
    limit = float(torch.tensor(radius, dtype=points.dtype).square())
    distances, indices = nearest_rows(
        (points, starts, sizes), asked, packed, max_neighbors, exclude_self, limit
    )
    return distances, indices, (indices >= 0).sum(dim=-1)


def ball_query_fake(
    points: Tensor,
    starts: Tensor,
    sizes: Tensor,
    queries: Tensor | None,
    query_starts: Tensor | None,
    query_sizes: Tensor | None,
    packed: bool,
    radius: float,
    max_neighbors: int,
    exclude_self: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns empty results of the right shapes; searches of a `NeighborIndex` have the same."""
    rows = (points if queries is None else queries).shape[0]
    distances = points.new_empty((rows, max_neighbors))
    counts = points.new_empty((rows,), dtype=torch.int64)
    return distances, torch.empty_like(distances, dtype=torch.int64), counts


declare(
    "ball_query(Tensor points, Tensor starts, Tensor sizes, Tensor? queries, Tensor? query_starts, "
    "Tensor? query_sizes, bool packed, float radius, int max_neighbors, bool exclude_self) "
    "-> (Tensor distances, Tensor indices, Tensor counts)",
    _ball_query_torch,
    ball_query_fake,
)
