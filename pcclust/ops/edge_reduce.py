"""The reductions of an EdgeConv over the edges of a kNN graph, without the edges.

The edge from point i to its neighbour j carries ``u_i + v_j`` in each channel. An EdgeConv needs of
all edges only the largest (or smallest) at each point, and the sums of values and squares for
BatchNorm; nothing of size N×k×C is ever held (design.md, "EdgeConv without edges").
"""

from typing import Any

import torch
from torch import Tensor

from pcclust.ops._checks import check_clouds, check_matrix, require
from pcclust.ops._clouds import Clouds, cloud_of_rows
from pcclust.ops._last_backward import in_last_backward
from pcclust.ops._registry import call, declare


def edge_reduce(
    projected: Tensor,
    neighbors: Tensor,
    starts: Tensor,
    sizes: Tensor,
    sign: Tensor,
    moments: bool,
    *,
    consume: bool = False,
) -> tuple[Tensor, Tensor]:
    """Reduces ``u_i + v_j`` over the neighbours j of every point i; differentiable once.

    Args:
        projected: ``(R, 2, C)`` float32 or float64: u and v of every row.
        neighbors: ``(R, k)`` int64 positions in the cloud.
        starts: ``(B,)`` int64, the first row of each cloud; other rows are padding.
        sizes: ``(B,)`` int64, the rows of each cloud.
        sign: ``(C,)`` 1 where the largest edge is wanted, -1 the smallest, 0 the first. Ties go to
            the first neighbour, and so does NaN, which is larger and smaller than all.
        moments: whether the sums over all edges are wanted.
        consume: whether nobody else uses ``projected``, and the last backward pass may overwrite it
            with its gradient.

    Returns:
        ``(R, C)`` the wanted edge of each point (0 on padding), and ``(2, C)`` float64 sums of all
        edges and of their squares (0 without ``moments``).
    """
    maxima, sums, _ = _EdgeReduce.apply(  # type: ignore[no-untyped-call]
        projected, neighbors, starts, sizes, sign, moments, consume
    )
    return maxima, sums


class _EdgeReduce(torch.autograd.Function):
    @staticmethod
    def forward(
        projected: Tensor,
        neighbors: Tensor,
        starts: Tensor,
        sizes: Tensor,
        sign: Tensor,
        moments: bool,
        consume: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        maxima, argmax, sums = call(
            "edge_reduce", projected.contiguous(), neighbors, starts, sizes, sign, moments
        )
        return maxima, sums, argmax

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:  # noqa: ANN401
        projected, neighbors, starts, sizes, _, moments, consume = inputs
        ctx.mark_non_differentiable(output[2])
        ctx.set_materialize_grads(False)  # nobody needs zeros for argmax
        ctx.save_for_backward(projected, neighbors, starts, sizes, output[2])
        ctx.moments, ctx.consume = moments, consume

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        max_gradient: Tensor | None,
        moment_gradient: Tensor | None,
        _: None,
    ) -> tuple[Tensor | None, ...]:
        projected, *graph, argmax = ctx.saved_tensors
        if max_gradient is None:
            max_gradient = projected.new_zeros(argmax.shape)
        if moment_gradient is None:
            moment_gradient = projected.new_zeros(2, argmax.shape[1], dtype=torch.float64)
        gradients = (max_gradient.contiguous(), moment_gradient.contiguous())
        given = (*gradients, projected.contiguous(), *graph, argmax, ctx.moments)
        if ctx.consume and projected.device.type == "cpu" and in_last_backward():
            call("edge_reduce_backward_", *given)
            return given[2], *[None] * 6
        return call("edge_reduce_backward", *given), *[None] * 6


def _edge_reduce_torch(
    projected: Tensor, neighbors: Tensor, starts: Tensor, sizes: Tensor, sign: Tensor, moments: bool
) -> tuple[Tensor, Tensor, Tensor]:
    rows, inside = _neighbor_rows(projected, neighbors, starts, sizes)
    check_matrix(sign, "sign", projected.shape[2:], projected.dtype)
    u, v = projected.unbind(dim=1)
    best = v[rows[:, 0]]
    argmax = neighbors[:, :1].expand_as(best)
    total, squares = u + best, (u + best).square()
    for j in range(1, neighbors.shape[1]):
        value = v[rows[:, j]]
        key = best * sign
        better = ~key.isnan() & ~(value * sign <= key)  # the first NaN stays
        best = torch.where(better, value, best)
        argmax = torch.where(better, neighbors[:, j, None], argmax)
        total += u + value
        squares += (u + value).square()
    sums = torch.stack([torch.where(inside, s, 0).double().sum(dim=0) for s in (total, squares)])
    return (
        torch.where(inside, u + best, 0),
        torch.where(inside, argmax, -1).int(),
        sums if moments else torch.zeros_like(sums),
    )


def _edge_reduce_backward_torch(
    max_gradient: Tensor,
    moment_gradient: Tensor,
    projected: Tensor,
    neighbors: Tensor,
    starts: Tensor,
    sizes: Tensor,
    argmax: Tensor,
    moments: bool,
) -> Tensor:
    rows, inside = _neighbor_rows(projected, neighbors, starts, sizes)
    _check_gradients(max_gradient, moment_gradient, projected, argmax)
    argmax = torch.where(inside, argmax, 0)
    cloud = cloud_of_rows(Clouds(neighbors, starts, sizes, (), False, None))[:, None]
    valid = (argmax >= 0) & (~inside | (argmax < _of_rows(sizes, cloud)))
    require(bool(valid.all()), "argmax holds positions outside of a cloud")
    u, v = projected.unbind(dim=1)
    to_u = torch.where(inside, max_gradient, 0)
    # Row i, column 0 of `neighbors` is position p at row `rows[i, 0]`: the cloud begins p before.
    argmax_rows = argmax + (rows[:, :1] - torch.where(inside, neighbors[:, :1], 0))
    to_v = torch.zeros_like(to_u).scatter_add_(0, argmax_rows, to_u)
    if moments:
        first, second = moment_gradient.to(u.dtype)
        for j in range(neighbors.shape[1]):
            edge = torch.where(inside, first + 2 * second * (u + v[rows[:, j]]), 0)
            to_u = to_u + edge
            to_v.index_add_(0, rows[:, j], edge)
    return torch.stack([to_u, to_v], dim=1)


def _edge_reduce_backward_in_place_torch(*given: Any) -> None:  # noqa: ANN401
    given[2].copy_(_edge_reduce_backward_torch(*given))


def _neighbor_rows(
    projected: Tensor, neighbors: Tensor, starts: Tensor, sizes: Tensor
) -> tuple[Tensor, Tensor]:
    """Returns ``(R, k)`` rows of the neighbours and ``(R, 1)`` which rows are no padding."""
    check_matrix(projected, "projected", (None, 2, None))
    check_matrix(neighbors, "neighbors", (projected.shape[0], None), torch.int64)
    return neighbor_table(neighbors, starts, sizes)


def neighbor_table(neighbors: Tensor, starts: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
    """Returns ``(R, k)`` rows of the neighbours and ``(R, 1)`` which rows are no padding.

    Raises:
        RuntimeError: a neighbour that is no point of its cloud.
    """
    check_matrix(neighbors, "neighbors", (None, None), torch.int64)
    require(neighbors.shape[1] >= 1, "at least one neighbour is needed")
    check_clouds(neighbors, starts, sizes)
    cloud = cloud_of_rows(Clouds(neighbors, starts, sizes, (), False, None))[:, None]
    inside = cloud >= 0
    bad = inside & ((neighbors < 0) | (neighbors >= _of_rows(sizes, cloud)))
    if bool(bad.any()):
        row, column = bad.nonzero()[0].tolist()
        at = int(cloud[row])
        raise RuntimeError(
            f"indices of point {row - int(starts[at])} of cloud {at} hold "
            f"{int(neighbors[row, column])}, but the cloud has {int(sizes[at])} points"
        )
    return torch.where(inside, neighbors + _of_rows(starts, cloud), 0), inside


def _of_rows(table: Tensor, cloud: Tensor) -> Tensor:
    """Returns each row's entry of a table of clouds; 0 for padding."""
    # With an entry more, so that there is one where there is no cloud at all.
    return torch.cat([table, table.new_zeros(1)])[cloud]


def _check_gradients(
    max_gradient: Tensor, moment_gradient: Tensor, projected: Tensor, argmax: Tensor
) -> None:
    rows, _, channels = projected.shape
    check_matrix(max_gradient, "max_gradient", (rows, channels), projected.dtype)
    check_matrix(moment_gradient, "moment_gradient", (2, channels), torch.float64)
    check_matrix(argmax, "argmax", (rows, channels), torch.int32)


def _edge_reduce_fake(
    projected: Tensor, neighbors: Tensor, starts: Tensor, sizes: Tensor, sign: Tensor, moments: bool
) -> tuple[Tensor, Tensor, Tensor]:
    rows, _, channels = projected.shape
    return (
        projected.new_empty((rows, channels)),
        projected.new_empty((rows, channels), dtype=torch.int32),
        projected.new_empty((2, channels), dtype=torch.float64),
    )


def _edge_reduce_backward_fake(
    max_gradient: Tensor,
    moment_gradient: Tensor,
    projected: Tensor,
    neighbors: Tensor,
    starts: Tensor,
    sizes: Tensor,
    argmax: Tensor,
    moments: bool,
) -> Tensor:
    return torch.empty_like(projected)


declare(
    "edge_reduce(Tensor projected, Tensor neighbors, Tensor starts, Tensor sizes, Tensor sign, "
    "bool moments) -> (Tensor, Tensor, Tensor)",
    _edge_reduce_torch,
    _edge_reduce_fake,
)
declare(
    "edge_reduce_backward(Tensor max_gradient, Tensor moment_gradient, Tensor projected, "
    "Tensor neighbors, Tensor starts, Tensor sizes, Tensor argmax, bool moments) -> Tensor",
    _edge_reduce_backward_torch,
    _edge_reduce_backward_fake,
)
# The same, into the memory of `projected`.
declare(
    "edge_reduce_backward_(Tensor max_gradient, Tensor moment_gradient, Tensor(a!) projected, "
    "Tensor neighbors, Tensor starts, Tensor sizes, Tensor argmax, bool moments) -> ()",
    _edge_reduce_backward_in_place_torch,
    lambda *_: None,
)
