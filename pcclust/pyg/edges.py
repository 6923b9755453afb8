"""Neighbours as edges ``(2, E)``, by the signatures and the conventions of torch-cluster."""

import math
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from pcclust import ops
from pcclust.ops._clouds import working_precision
from pcclust.ops._layouts import FLOATING, INTEGERS
from pcclust.ops.ball_query import checked_radius

Flow: TypeAlias = Literal["source_to_target", "target_to_source"]
FLOWS = ("source_to_target", "target_to_source")


def knn(
    x: Tensor,
    y: Tensor,
    k: int,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    cosine: bool = False,
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Finds for each point of ``y`` its k nearest points of ``x`` in the same cloud.

    Called as ``torch_cluster.knn``, with the same edges wherever distances differ. Ties go to the
    lower index on every device, k is not bounded, and neighbours come nearest first.

    Args:
        x: ``(N, D)`` or ``(N,)`` points to find, floating.
        y: ``(M, D)`` or ``(M,)`` points to search from, of the dtype and device of ``x``.
        k: how many, at least 1; of a cloud with fewer points, all.
        batch_x: ``(N,)`` integers, sorted, the cloud of each point of ``x``; one cloud if None.
        batch_y: ``(M,)`` as ``batch_x``, of ``y``.
        cosine: whether the angle between vectors is compared instead of the distance of points.
        num_workers: ignored; threads are those of torch.
        batch_size: the number of clouds, at least those of the batches; found if None.

    Returns:
        ``(2, E)`` int64: rows of ``y`` above, their neighbours, rows of ``x``, below.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, an unsorted batch, NaN or inf, k below 1.

    Example:
        >>> import torch, pcclust.pyg
        >>> x, y = torch.tensor([[0.0, 0], [2, 0], [5, 0]]), torch.tensor([[1.5, 0]])
        >>> pcclust.pyg.knn(x, y, 2).tolist()
        [[0, 0], [1, 0]]
    """
    _check_count(k, "k")
    pair = _pair(x, y, batch_x, batch_y, batch_size)
    return _edges(_directed(pair) if cosine else pair, math.inf, k)


def radius(
    x: Tensor,
    y: Tensor,
    r: float,
    batch_x: Tensor | None = None,
    batch_y: Tensor | None = None,
    max_num_neighbors: int = 32,
    num_workers: int = 1,
    batch_size: int | None = None,
    ignore_same_index: bool = False,
) -> Tensor:
    """Finds for each point of ``y`` all points of ``x`` within a radius, in the same cloud.

    Called as ``torch_cluster.radius``. Where there are more than ``max_num_neighbors``, the nearest
    are returned, not the first that were found, and neighbours come nearest first.

    Args:
        x: as for `knn`.
        y: as for `knn`.
        r: the radius, at least 0; a distance equal to it is within.
        batch_x: as for `knn`.
        batch_y: as for `knn`.
        max_num_neighbors: of a point, at most.
        num_workers: as for `knn`.
        batch_size: as for `knn`.
        ignore_same_index: whether row i of ``x`` is no neighbour of row i of ``y``.

    Returns:
        ``(2, E)`` int64: rows of ``y`` above, their neighbours, rows of ``x``, below.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: negative or NaN radius, and as for `knn`.

    Example:
        >>> import torch, pcclust.pyg
        >>> x, y = torch.tensor([[0.0, 0], [2, 0], [5, 0]]), torch.tensor([[1.5, 0]])
        >>> pcclust.pyg.radius(x, y, 1.0).tolist()
        [[0], [1]]
    """
    _check_count(max_num_neighbors, "max_num_neighbors")
    pair = _pair(x, y, batch_x, batch_y, batch_size)
    return _edges(pair, checked_radius(r), max_num_neighbors, loop=not ignore_same_index)


def knn_graph(
    x: Tensor,
    k: int,
    batch: Tensor | None = None,
    loop: bool = False,
    flow: Flow = "source_to_target",
    cosine: bool = False,
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Joins each point to its k nearest in the same cloud.

    Called as ``torch_cluster.knn_graph``, with the same edges wherever distances differ; see `knn`.

    Args:
        x: ``(N, D)`` or ``(N,)`` points, floating.
        k: how many neighbours of each point, at least 1; in a cloud with fewer, all.
        batch: ``(N,)`` integers, sorted, the cloud of each point; one cloud if None.
        loop: whether a point is one of its own neighbours.
        flow: "source_to_target": edges go from the neighbours to the point, so that a layer of
            PyTorch Geometric gathers them there; "target_to_source": from the point to them.
        cosine: as for `knn`.
        num_workers: as for `knn`.
        batch_size: as for `knn`.

    Returns:
        ``(2, E)`` int64, sources above and targets below: neighbours and points, or the reverse.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: an unknown flow, and as for `knn`.

    Example:
        >>> import torch, pcclust.pyg
        >>> pcclust.pyg.knn_graph(torch.tensor([[0.0, 0], [1, 0], [3, 0]]), 1).tolist()
        [[1, 0, 1], [0, 1, 2]]
    """
    _check_flow(flow)
    _check_count(k, "k")
    pair = _pair(x, x, batch, batch, batch_size)
    edges = _edges(_directed(pair) if cosine else pair, math.inf, k, loop=loop)
    return edges.flip(0) if flow == FLOWS[0] else edges


def radius_graph(
    x: Tensor,
    r: float,
    batch: Tensor | None = None,
    loop: bool = False,
    max_num_neighbors: int = 32,
    flow: Flow = "source_to_target",
    num_workers: int = 1,
    batch_size: int | None = None,
) -> Tensor:
    """Joins each point to all within a radius in the same cloud.

    Called as ``torch_cluster.radius_graph``; see `radius` for where the nearest are kept.

    Args:
        x: as for `knn_graph`.
        r: as for `radius`.
        batch: as for `knn_graph`.
        loop: whether a point is one of its own neighbours.
        max_num_neighbors: of a point, at most.
        flow: as for `knn_graph`.
        num_workers: as for `knn`.
        batch_size: as for `knn`.

    Returns:
        ``(2, E)`` int64, as `knn_graph`.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: an unknown flow, and as for `radius`.

    Example:
        >>> import torch, pcclust.pyg
        >>> pcclust.pyg.radius_graph(torch.tensor([[0.0, 0], [1, 0], [3, 0]]), 1.5).tolist()
        [[1, 0], [0, 1]]
    """
    _check_flow(flow)
    edges = radius(x, x, r, batch, batch, max_num_neighbors, num_workers, batch_size, not loop)
    return edges.flip(0) if flow == FLOWS[0] else edges


class _Pair(NamedTuple):
    """The points of the clouds that have some in ``x`` and some in ``y``.

    Attributes:
        x: ``(N', D)`` points to find.
        y: ``(M', D)`` points to search from.
        offsets_x: ``(B + 1,)`` where each cloud begins in ``x``.
        offsets_y: as ``offsets_x``, in ``y``.
        rows_x: ``(N',)`` the row of each point in what was given.
        rows_y: as ``rows_x``.
    """

    x: Tensor
    y: Tensor
    offsets_x: Tensor
    offsets_y: Tensor
    rows_x: Tensor
    rows_y: Tensor


def _pair(
    x: Tensor, y: Tensor, batch_x: Tensor | None, batch_y: Tensor | None, batch_size: int | None
) -> _Pair:
    """Leaves out the clouds, which a batch may skip, of which a side has no points."""
    x, y = _matrix(x, "x"), _matrix(y, "y")
    batch_x, batch_y = _batch(batch_x, x, "batch_x"), _batch(batch_y, y, "batch_y")
    most = max((int(batch[-1]) + 1 for batch in (batch_x, batch_y) if len(batch)), default=0)
    if batch_size is not None and batch_size < most:
        raise ValueError(f"batch_size={batch_size}, but the batches number {most} clouds")
    counts = [torch.bincount(batch, minlength=most) for batch in (batch_x, batch_y)]
    there = (counts[0] > 0) & (counts[1] > 0)
    rows_x, rows_y = (there[batch].nonzero().flatten() for batch in (batch_x, batch_y))
    starts = [torch.nn.functional.pad(count[there].cumsum(0), (1, 0)) for count in counts]
    return _Pair(x[rows_x], y[rows_y], starts[0], starts[1], rows_x, rows_y)


def _matrix(points: Tensor, name: str) -> Tensor:
    """Returns points ``(N, D)``; the operators check what is in them."""
    if not isinstance(points, Tensor) or points.dtype not in FLOATING:
        given = points.dtype if isinstance(points, Tensor) else type(points).__name__
        raise TypeError(f"{name} must be a floating tensor, got {given}")
    if points.dim() not in (1, 2):
        raise ValueError(f"{name} must be (N, D) or (N,), got {tuple(points.shape)}")
    return points.detach()[:, None] if points.dim() == 1 else points.detach()


def _batch(batch: Tensor | None, points: Tensor, name: str) -> Tensor:
    if batch is None:
        return torch.zeros(len(points), dtype=torch.int64, device=points.device)
    if not isinstance(batch, Tensor) or batch.dtype not in INTEGERS:
        given = batch.dtype if isinstance(batch, Tensor) else type(batch).__name__
        raise TypeError(f"{name} must be a tensor of integers, got {given}")
    if batch.shape != points.shape[:1]:
        raise ValueError(f"{name} must be ({len(points)},), got {tuple(batch.shape)}")
    if bool((batch < 0).any()) or bool((batch[1:] < batch[:-1]).any()):
        raise ValueError(f"{name} must count clouds from 0 and be sorted: sort the points by it")
    return batch.long().to(points.device)


def _directed(pair: _Pair) -> _Pair:
    """Brings all vectors to length one, where nearest and least turned are the same."""
    return pair._replace(x=_directions(pair.x, "x"), y=_directions(pair.y, "y"))


def _directions(vectors: Tensor, name: str) -> Tensor:
    vectors = working_precision(vectors)
    largest = vectors.abs().amax(dim=1, keepdim=True)
    if bool((largest == 0).any()):
        raise ValueError(f"{name} has a zero vector, which has no direction for cosine")
    return torch.nn.functional.normalize(vectors / largest, dim=1)


def _edges(pair: _Pair, limit: float, count: int, *, loop: bool = True) -> Tensor:
    """Searches, and returns queries above and what they found below, rows of what was given."""
    if pair.offsets_x.numel() < 2:
        return pair.rows_x.new_empty(2, 0)
    starts, asked, wanted = pair.offsets_x, pair.offsets_y, count + int(not loop)
    if limit == math.inf and wanted <= int(starts.diff().min()):
        search: Callable[..., ops.Neighbors | ops.Ball] = partial(ops.knn, pair.x, wanted)
    else:
        search = partial(ops.ball_query, pair.x, limit, wanted)
    found = search(queries=pair.y, offsets=starts, query_offsets=asked).indices
    above, below = pair.rows_y[:, None].expand_as(found), pair.rows_x[found]
    kept = found >= 0
    if not loop:
        kept &= below != above
        kept &= kept.cumsum(dim=1) <= count
    return torch.stack([above[kept], below[kept]])


def _check_count(count: int, name: str) -> None:
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"{name} must be an int, got {type(count).__name__}")
    if count < 1:
        raise ValueError(f"{name}={count} must be at least 1")


def _check_flow(flow: str) -> None:
    if flow not in FLOWS:
        raise ValueError(f"flow={flow!r} is neither {FLOWS[0]!r} nor {FLOWS[1]!r}")
