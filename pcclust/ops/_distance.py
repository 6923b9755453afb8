"""Squared distances in plain torch: the reference that every kernel is compared with."""

from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch
from torch.autograd import forward_ad

from pcclust.ops._checks import check_points, require
from pcclust.ops._clouds import Clouds, cloud_of_rows

# Distances are summed dimension by dimension, every operation rounded. Above so many dimensions a
# matrix product proposes the candidates first (design.md, contract 1).
EXACT_DIMENSIONS = 8
# Proposals beyond k, so that rounding of the product seldom leaves a doubt.
SPARE = 8
# Elements of the largest temporary, so that memory stays O(N·k) whatever the size of a cloud.
BLOCK = 1 << 22

Rows = tuple[Tensor, Tensor, Tensor]  # (rows, starts, sizes)


def nearest_rows(
    points: Rows, queries: Rows, packed: bool, k: int, exclude_self: bool, limit: float
) -> tuple[Tensor, Tensor]:
    """Finds up to ``k`` nearest points of each query row within squared distance ``limit``.

    Returns:
        ``(R, k)`` distances and int64 indices in (distance, index) order; inf and -1 where there
        is none, and on rows that belong to no cloud.
    """
    _check_search(points, queries, k, exclude_self)
    rows = queries[0].shape[0]
    distances = points[0].new_full((rows, k), torch.inf)
    indices = points[0].new_full((rows, k), -1, dtype=torch.int64)
    for start, size, query_start, query_size, count in _blocks(points, queries):
        wanted = min(k, size - int(exclude_self))
        if wanted < 1 or query_size < 1:
            continue
        cloud = points[0][start : start + count * size].view(count, size, -1)
        asked = queries[0][query_start : query_start + count * query_size]
        asked = asked.view(count, query_size, -1)
        first_rows = start + size * torch.arange(count, device=cloud.device)[:, None, None]
        step = max(1, BLOCK // (count * size))
        for first in range(0, query_size, step):
            part = asked[:, first : first + step]
            skip = first if exclude_self else None
            found, at = _nearest_block(cloud, part, wanted, skip)
            at = torch.where(found <= limit, at, -1)
            found = torch.where(found <= limit, found, torch.inf)
            if packed:
                at = torch.where(at >= 0, at + first_rows, at)
            # Rows of several uniform clouds are contiguous only when whole clouds are taken.
            here = query_start + first
            take = slice(here, here + count * part.shape[1])
            distances[take, : found.shape[-1]] = found.flatten(0, 1)
            indices[take, : found.shape[-1]] = at.flatten(0, 1)
    return distances, indices


def query_rows(points: Rows, queries: tuple[Tensor | None, Tensor | None, Tensor | None]) -> Rows:
    """Returns the queries of a search, which are the points where there are no others."""
    rows, starts, sizes = queries
    if rows is None:
        if starts is not None or sizes is not None:
            raise RuntimeError("starts and sizes need their queries")
        return points
    if starts is None or sizes is None:
        raise RuntimeError("queries need their starts and sizes")
    return rows, starts, sizes


def _check_search(points: Rows, queries: Rows, k: int, exclude_self: bool) -> None:
    require(k >= 1, f"k must be at least 1, got {k}")
    check_points(*points)
    if points[0] is queries[0]:
        return
    require(not exclude_self, "exclude_self needs the points to be their own queries")
    check_points(*queries)
    alike = points[0].dtype == queries[0].dtype and points[0].shape[1] == queries[0].shape[1]
    require(alike, "queries and points differ in dtype or dimensions")
    require(points[1].shape == queries[1].shape, "queries and points differ in clouds")


def _blocks(points: Rows, queries: Rows) -> list[tuple[int, int, int, int, int]]:
    """Groups neighbouring clouds of one size: (start, size, query start, query size, clouds)."""
    table = torch.stack([points[1], points[2], queries[1], queries[2]], dim=1).tolist()
    blocks: list[tuple[int, int, int, int, int]] = []
    for start, size, query_start, query_size in table:
        if blocks:
            first, same, query_first, query_same, count = blocks[-1]
            follows = start == first + count * same
            follows &= query_start == query_first + count * query_same
            fits = (count + 1) * size * query_size <= BLOCK
            if follows and fits and (size, query_size) == (same, query_same):
                blocks[-1] = (first, same, query_first, query_same, count + 1)
                continue
        blocks.append((start, size, query_start, query_size, 1))
    return blocks


def _nearest_block(
    cloud: Tensor, queries: Tensor, k: int, first_self: int | None
) -> tuple[Tensor, Tensor]:
    """Finds neighbours in ``(b, n, D)`` of ``(b, m, D)``; query i is point ``first_self + i``."""
    if cloud.shape[-1] > EXACT_DIMENSIONS:
        return _nearest_by_product(cloud, queries, k, first_self)
    distances = _pairwise(queries, cloud)
    if first_self is not None:
        # NaN sorts behind everything, even behind distances that overflow to inf.
        distances.diagonal(offset=first_self, dim1=1, dim2=2).fill_(torch.nan)
    return _nearest(distances, k)


def _nearest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Returns the k smallest distances and their indices in (distance, index) order."""
    indices = _smallest(distances, k)
    order = distances.gather(-1, indices).sort(dim=-1, stable=True)
    return order.values, indices.gather(-1, order.indices)


def _nearest_by_product(
    cloud: Tensor, queries: Tensor, k: int, first_self: int | None
) -> tuple[Tensor, Tensor]:
    """As `_nearest_block`: one matrix product proposes neighbours, exact distances decide.

    Where the product's rounding leaves a doubt (ties, tight clusters), all distances of that query
    are summed exactly, so the result is the one that `_pairwise` would give.
    """
    estimates, error = _estimate(queries, cloud)
    if first_self is not None:
        estimates.diagonal(offset=first_self, dim1=1, dim2=2).fill_(torch.nan)
    others = cloud.shape[1] - int(first_self is not None)
    proposed = estimates.topk(min(k + SPARE, others), dim=-1, largest=False)
    indices = proposed.indices.sort(dim=-1).values
    found = _distances_to(cloud, queries, indices).sort(dim=-1, stable=True)
    distances, indices = found.values[..., :k], indices.gather(-1, found.indices)[..., :k]
    # What was not proposed is at least as far as the last proposal, up to rounding.
    rounding = cloud.shape[-1] * torch.finfo(cloud.dtype).eps
    nearest_other = (proposed.values[..., -1] - error) * (1 - rounding)
    certain = nearest_other > distances[..., -1]
    certain |= error.isfinite() & (proposed.values.shape[-1] == others)
    for b in (~certain).any(dim=1).nonzero().flatten().tolist():
        rows = (~certain[b]).nonzero().flatten()
        exact = _pairwise(queries[b : b + 1, rows], cloud[b : b + 1])
        if first_self is not None:
            exact.scatter_(-1, (rows + first_self)[None, :, None], torch.nan)
        nearest = _nearest(exact, k)
        distances[b, rows], indices[b, rows] = nearest[0][0], nearest[1][0]
    return distances, indices


def _distances_to(cloud: Tensor, queries: Tensor, indices: Tensor) -> Tensor:
    """Returns ``(b, m, k)`` squared distances of chosen points, summed in order of dimension."""
    total = torch.zeros_like(indices, dtype=cloud.dtype)
    for axis in range(cloud.shape[-1]):
        chosen = cloud[..., axis].gather(1, indices.flatten(1)).view_as(indices)
        difference = queries[..., axis, None] - chosen
        total.add_(difference.mul_(difference))
    return total


def _pairwise(queries: Tensor, cloud: Tensor) -> Tensor:
    """Returns ``(b, m, n)`` squared distances, summed in order of dimension, never fused."""
    total = queries[:, :, None, 0] - cloud[:, None, :, 0]
    total.mul_(total)
    for axis in range(1, cloud.shape[-1]):
        difference = queries[:, :, None, axis] - cloud[:, None, :, axis]
        total.add_(difference.mul_(difference))
    return total


def _estimate(queries: Tensor, cloud: Tensor) -> tuple[Tensor, Tensor]:
    """Returns ``(b, m, n)`` squared distances by one matrix product and ``(b, m)`` error bounds."""
    # Centred and in float64, a tight cluster or a cloud far from the origin keeps its distances,
    # and no setting of float32 products (TF32, bfloat16) matters.
    centre = cloud.double().mean(dim=1, keepdim=True)
    cloud, queries = cloud.double() - centre, queries.double() - centre
    squares, query_squares = (cloud * cloud).sum(dim=-1), (queries * queries).sum(dim=-1)
    with torch.autocast(cloud.device.type, enabled=False):
        estimates = torch.bmm(queries, cloud.transpose(1, 2)).mul_(-2)
    estimates.add_(squares[:, None, :]).add_(query_squares[:, :, None])
    reach = query_squares.sqrt() + squares.amax(dim=1, keepdim=True).sqrt()
    return estimates, (cloud.shape[-1] + 8) * torch.finfo(torch.float64).eps * reach.square()


def _smallest(distances: Tensor, k: int) -> Tensor:
    """Returns the indices, ascending, of the k smallest by (distance, index)."""
    values, indices = distances.topk(k, dim=-1, largest=False)
    threshold = values[..., -1:]
    if bool(threshold.isnan().any()):
        # Only in a compiled graph, where points are not checked: what is NaN is nobody's neighbour.
        return distances.sort(dim=-1, stable=True).indices[..., :k].sort(dim=-1).values
    below = distances <= threshold
    if bool((below.sum(dim=-1) == k).all()):
        return indices.sort(dim=-1).values
    # topk breaks ties as it likes: keep what is nearer, and of the ties the first that fit.
    tied = distances == threshold
    room = k - (distances < threshold).sum(dim=-1, keepdim=True)
    keep = (distances < threshold) | (tied & (tied.cumsum(dim=-1) <= room))
    return keep.nonzero()[:, -1].view(*distances.shape[:-1], k)


def gathered_distances(clouds: Clouds, asked: Clouds | None, indices: Tensor) -> Tensor:
    """Returns the squared distances of found neighbours, differentiable to any order.

    Missing neighbours (index -1) have distance inf and no gradient. The sum is in the order of the
    kernels, so that asking for a gradient does not change a bit for D <= 8.
    """
    source = clouds if asked is None else asked
    rows = torch.where(indices >= 0, neighbor_rows(clouds, source, indices), -1)
    # A function with a jvp of its own cannot be compiled, and forward mode saves nothing anyway.
    distances = _squared_distances if in_forward_mode() else SquaredDistances.apply
    # As an alias, since the compiler takes no tensor twice.
    total: Tensor = distances(source.rows.view_as(source.rows), clouds.rows, rows)
    return torch.where(indices >= 0, total, torch.inf)


def may_be_differentiated(*tensors: Tensor) -> bool:
    """Returns whether a derivative of the tensors may be taken, in reverse or forward mode."""
    if torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors):
        return True
    if torch.compiler.is_compiling():
        return False
    # Inside torch.func the tensor at hand may hide one of an outer transform.
    return in_forward_mode() or _functorch.peek_interpreter_stack() is not None


def in_forward_mode() -> bool:
    """Returns whether forward-mode derivatives (jvp, jacfwd, hessian) are being taken."""
    return not torch.compiler.is_compiling() and forward_ad._current_level >= 0


def neighbor_rows(clouds: Clouds, source: Clouds, indices: Tensor) -> Tensor:
    """Returns which row of ``clouds.rows`` each neighbour is; 0 for missing ones."""
    if clouds.packed:
        return indices.clamp(min=0)
    first = clouds.starts[cloud_of_rows(source).clamp(min=0)]
    return torch.where(indices >= 0, indices + first[:, None], 0)


def _squared_distances(queries: Tensor, points: Tensor, rows: Tensor) -> Tensor:
    """Sums ``(q - p)²`` in order of dimension; 0 where the row is -1."""
    at, known = rows.clamp(min=0).flatten(), rows >= 0
    total = queries.new_zeros(rows.shape)
    for axis in range(queries.shape[-1]):
        difference = _difference(queries[:, axis], points[:, axis], at, known)
        total = total + difference * difference
    return total


class SquaredDistances(torch.autograd.Function):
    """``(M, k)`` squared distances of ``queries[m]`` to ``points[rows[m, k]]``, in O(M·k) memory.

    Dimensions are visited one at a time, so that no ``(M, k, D)`` tensor exists; the backward pass
    consists of differentiable torch operations and can be differentiated again.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(queries: Tensor, points: Tensor, rows: Tensor) -> Tensor:
        """Sums ``(q - p)²`` in order of dimension."""
        return _squared_distances(queries, points, rows)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:  # noqa: ANN401
        """Keeps the inputs: everything else is recomputed."""
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:  # noqa: ANN401
        """Returns ``2 Σ_k g (q - p)`` for the queries and its negative, scattered, for points."""
        queries, points, rows = ctx.saved_tensors
        at, known = rows.clamp(min=0).flatten(), rows >= 0
        to_queries, to_points = gradient, points
        for axis in range(queries.shape[-1]):
            pull = 2 * gradient * _difference(queries[:, axis], points[:, axis], at, known)
            zeros = torch.zeros_like(points[:, axis])
            columns = pull.sum(dim=-1), zeros.index_add(0, at, pull.flatten(), alpha=-1)
            if axis == 0:
                # Room for all columns at once: small results that outlive large temporaries
                # would leave holes in the heap, as large together as a (M, k, D) tensor.
                to_queries, to_points = (c[:, None].repeat(1, queries.shape[-1]) for c in columns)
            else:
                to_queries[:, axis], to_points[:, axis] = columns
        return to_queries, to_points, None


def _difference(queries: Tensor, points: Tensor, at: Tensor, known: Tensor) -> Tensor:
    found = points.index_select(0, at).view_as(known)
    # Rows of padding may hold NaN, which no gradient may see.
    return torch.where(known, queries[:, None] - found, 0)
