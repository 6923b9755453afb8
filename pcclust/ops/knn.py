"""k nearest neighbours."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.ops._arrays import accepts_numpy
from pcclust.ops._clouds import ORDINARY, Clouds, check_count, flatten, per_point
from pcclust.ops._distance import (
    gathered_distances,
    may_be_differentiated,
    nearest_rows,
    query_rows,
)
from pcclust.ops._magnitude import brought_near
from pcclust.ops._registry import call, declare


class Neighbors(NamedTuple):
    """What `knn` returns: the k nearest points of each query, nearest first."""

    distances: Tensor
    indices: Tensor


@accepts_numpy
def knn(
    points: Tensor,
    k: int,
    *,
    queries: Tensor | None = None,
    exclude_self: bool = False,
    lengths: Tensor | None = None,
    offsets: Tensor | None = None,
    batch: Tensor | None = None,
    query_lengths: Tensor | None = None,
    query_offsets: Tensor | None = None,
) -> Neighbors:
    """Finds the k nearest neighbours of each query, nearest first; ties go to the lower index.

    Args:
        points: ``(N, D)`` one cloud, ``(B, N, D)`` a batch, or packed ``(ΣN, D)`` with
            ``offsets``; any floating dtype, float16 and bfloat16 are computed in float32.
        k: how many neighbours, from 1 to the points of the smallest cloud.
        queries: points to search from, in the layout of ``points``; the points themselves if None.
        exclude_self: whether a point is left out of its own neighbours (only without ``queries``).
        lengths: ``(B,)`` the number of points of each cloud of a padded batch.
        offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.
        batch: ``(ΣN,)`` the cloud of each packed point, sorted, as in PyG, instead of ``offsets``.
        query_lengths: as ``lengths``, for ``queries``.
        query_offsets: as ``offsets``, for ``queries``.

    Returns:
        ``Neighbors(distances, indices)``, each of the queries' leading shape plus ``(k,)``:
        squared Euclidean distances (float32 or float64, differentiable to any order) and int64
        positions in the cloud (rows of the packed tensor with ``offsets``). Rows of padding hold
        inf and -1.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, no points, NaN or inf, ``k`` beyond a cloud, bad lengths.

    For D = 3 every backend returns the same bits (design.md, contract 1). Clouds of any magnitude
    have the neighbours they have near 1, though their squared distances may overflow to inf or
    vanish. One that is not ordinary (largest coordinate from 1e-6 to 1e9, in float64 1e-60 to 1e60)
    and has coordinates below 1e-21 of its largest is refused, as no factor makes its squares fit.
    Compiled graphs and vmap take coordinates as they are: bring clouds near 1 before.

    Example:
        >>> import torch, pcclust
        >>> line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]])
        >>> distances, indices = pcclust.knn(line, 2)
        >>> distances.tolist(), indices.tolist()
        ([[0.0, 1.0], [0.0, 1.0], [0.0, 4.0]], [[0, 1], [1, 0], [2, 1]])
    """
    clouds = flatten(points, lengths, offsets, batch=batch)
    asked = flatten_queries(clouds, queries, query_lengths, query_offsets, exclude_self)
    check_count(k, clouds, "k", spare=int(exclude_self))
    near = brought_near(clouds, asked)
    distances, indices = call("knn", *search_arguments(near.clouds, near.asked), k, exclude_self)
    if near.factors is not None:
        distances = gathered_distances(clouds, asked, indices)
    distances = differentiable_distances(clouds, asked, distances, indices)
    source = asked or clouds
    return Neighbors(per_point(distances, source), per_point(indices, source))


def flatten_queries(
    clouds: Clouds,
    queries: Tensor | None,
    lengths: Tensor | None,
    offsets: Tensor | None,
    exclude_self: bool,
) -> Clouds | None:
    """Lays out the queries of a search in ``clouds``, or returns None where there are none.

    Raises:
        TypeError: wrong type, or another dtype than the points.
        ValueError: as `flatten`, or the queries do not fit the points.
    """
    if queries is None:
        if lengths is not None or offsets is not None:
            raise ValueError("query_lengths and query_offsets need queries, which are None")
        return None
    if exclude_self:
        raise ValueError("exclude_self needs the points to be their own queries (queries=None)")
    asked = flatten(queries, lengths, offsets, "queries")
    if asked.rows.shape[1] != clouds.rows.shape[1]:
        raise ValueError(
            f"queries have {asked.rows.shape[1]} dimensions, points have {clouds.rows.shape[1]}"
        )
    if asked.rows.dtype != clouds.rows.dtype:
        raise TypeError(f"queries are {asked.rows.dtype}, points are {clouds.rows.dtype}")
    if asked.rows.device != clouds.rows.device:
        raise ValueError(f"queries are on {asked.rows.device}, points on {clouds.rows.device}")
    if asked.starts.shape[0] != clouds.starts.shape[0]:
        raise ValueError(
            f"queries hold {asked.starts.shape[0]} clouds, points {clouds.starts.shape[0]}"
        )
    # Queries near the origin are no further from the points than those are large.
    if clouds.ordinary and not asked.ordinary:
        near = float(asked.rows.detach().abs().max()) <= ORDINARY[asked.rows.dtype][1]
        return asked._replace(ordinary=near)
    return asked


def search_arguments(clouds: Clouds, asked: Clouds | None) -> tuple[object, ...]:
    """Returns the arguments that `knn` and `ball_query` operators have in common."""
    queries = (None, None, None) if asked is None else (asked.rows.detach(), *asked[1:3])
    return (clouds.rows.detach(), clouds.starts, clouds.sizes, *queries, clouds.packed)


def differentiable_distances(
    clouds: Clouds, asked: Clouds | None, distances: Tensor, indices: Tensor
) -> Tensor:
    """Recomputes the distances in torch where a gradient may be asked of them."""
    rows = (clouds if asked is None else asked).rows
    if may_be_differentiated(clouds.rows, rows):
        return gathered_distances(clouds, asked, indices)
    return distances


def _knn_torch(
    points: Tensor,
    starts: Tensor,
    sizes: Tensor,
    queries: Tensor | None,
    query_starts: Tensor | None,
    query_sizes: Tensor | None,
    packed: bool,
    k: int,
    exclude_self: bool,
) -> tuple[Tensor, Tensor]:
    asked = query_rows((points, starts, sizes), (queries, query_starts, query_sizes))
    return nearest_rows((points, starts, sizes), asked, packed, k, exclude_self, math.inf)


def _knn_fake(
    points: Tensor,
    starts: Tensor,
    sizes: Tensor,
    queries: Tensor | None,
    query_starts: Tensor | None,
    query_sizes: Tensor | None,
    packed: bool,
    k: int,
    exclude_self: bool,
) -> tuple[Tensor, Tensor]:
    rows = (points if queries is None else queries).shape[0]
    return points.new_empty((rows, k)), points.new_empty((rows, k), dtype=torch.int64)


declare(
    "knn(Tensor points, Tensor starts, Tensor sizes, Tensor? queries, Tensor? query_starts, "
    "Tensor? query_sizes, bool packed, int k, bool exclude_self) "
    "-> (Tensor distances, Tensor indices)",
    _knn_torch,
    _knn_fake,
)
