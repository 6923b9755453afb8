"""BatchNorm, LeakyReLU and pooling over segments of rows in few passes over memory.

Written out, these are a dozen passes over a matrix far larger than the caches, forward and
backward. Here there are two forward, one for BatchNorm's statistics and one for the rest, and one
backward; in between only the matrix itself is kept.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.ops._checks import check_matrix
from pcclust.ops._registry import call, declare
from pcclust.ops._segment_checks import GIVEN, check_rows
from pcclust.ops.segment_pull import segment_pull
from pcclust.ops.segment_sums import segment_sums
from pcclust.ops.segments import Segments, segment_rows


def segment_pool(
    values: Tensor, scale: Tensor, shift: Tensor, segments: Segments, slope: float
) -> tuple[Tensor, Tensor]:
    """Returns maximum and mean of ``leaky_relu(z * scale + shift)`` over the rows of each segment.

    Args:
        values: ``(R, C)`` rows z, float32 or float64.
        scale: ``(C,)``.
        shift: ``(C,)``.
        segments: S of them, with each row once at most.
        slope: of the LeakyReLU, finite and not negative.

    Returns:
        ``(S, C)`` and ``(S, C)``, 0 for a segment without rows. Differentiable once; the first of
        several largest rows gets the gradient of their maximum.
    """
    maxima, means, *_ = _SegmentPool.apply(  # type: ignore[no-untyped-call]
        values, scale, shift, *segments, slope
    )
    return maxima, means


class Saved(NamedTuple):
    """What the backward pass needs of the forward pass."""

    values: Tensor
    scale: Tensor
    shift: Tensor
    members: Tensor | None
    starts: Tensor
    sizes: Tensor
    argmax: Tensor
    slopes: Tensor
    products: Tensor


class _SegmentPool(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *given: Any) -> tuple[Tensor, ...]:  # noqa: ANN401
        ctx.slope = given[-1]
        ctx.set_materialize_grads(False)
        maxima, means, saved = pool_rows(*given)
        ctx.save_for_backward(*saved)
        return maxima, means

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any,  # noqa: ANN401
        to_maxima: Tensor | None,
        to_means: Tensor | None,
    ) -> tuple[Tensor | None, ...]:
        saved = Saved(*ctx.saved_tensors)
        to_maxima, to_rows = wanted_gradients(saved, to_maxima, to_means)
        to_scale, to_shift = parameter_sums(saved, to_maxima, to_rows, ctx.slope)
        nothing = torch.zeros_like(saved.scale)
        gradient = pull_rows(saved, to_maxima, to_rows, nothing, nothing, ctx.slope)
        scale = saved.scale
        return gradient, to_scale.to(scale), to_shift.to(scale), None, None, None, None


def pool_rows(
    values: Tensor,
    scale: Tensor,
    shift: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Saved]:
    """Returns maxima and means of the rows of each segment, and what their gradients need."""
    given = (values.contiguous(), scale.contiguous(), shift.contiguous(), members, starts, sizes)
    maxima, argmax, means, slopes, products = call("segment_pool", *given, slope)
    return maxima, means, Saved(*given, argmax, slopes, products)


def wanted_gradients(
    saved: Saved, to_maxima: Tensor | None, to_means: Tensor | None
) -> tuple[Tensor, Tensor | None]:
    """Returns the gradients of maxima and, by their share in the means, of rows.

    Those of rows are None where nobody uses the means, as in the pooling of clusters.
    """
    if to_maxima is None:
        to_maxima = torch.zeros_like(saved.argmax, dtype=saved.values.dtype)
    if to_means is None:
        return to_maxima, None
    return to_maxima, to_means / saved.sizes.clamp(min=1)[:, None]


def parameter_sums(
    saved: Saved, to_maxima: Tensor, to_rows: Tensor | None, slope: float
) -> tuple[Tensor, Tensor]:
    """Returns the gradients of scale and shift, in float64, without a pass over the rows."""
    to_scale, to_shift = segment_sums(*saved[:7], to_maxima.contiguous(), slope).unbind()
    if to_rows is not None:
        to_scale = (to_rows.double() * saved.products).sum(dim=0) + to_scale
        to_shift = (to_rows.double() * saved.slopes).sum(dim=0) + to_shift
    return to_scale, to_shift


def pull_rows(
    saved: Saved,
    to_maxima: Tensor,
    to_rows: Tensor | None,
    linear: Tensor,
    constant: Tensor,
    slope: float,
    *,
    consume: bool = False,
) -> Tensor:
    """Returns the gradient of all rows, in one pass over them; see `segment_pull`."""
    if to_rows is None:
        to_rows = torch.zeros_like(to_maxima)
    given = (to_maxima.contiguous(), to_rows.contiguous(), linear, constant, slope)
    return segment_pull(*saved[:7], *given, consume=consume)


def _row_moments_torch(values: Tensor) -> Tensor:
    check_matrix(values, "values")
    return torch.stack([values.double().sum(dim=0), values.double().square().sum(dim=0)])


def _segment_pool_torch(
    values: Tensor,
    scale: Tensor,
    shift: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    check_rows(values, scale, shift, members, starts, sizes, slope)
    places, owners = segment_rows(starts, sizes)
    z = values[places if members is None else members[places]]
    x = torch.addcmul(shift, z, scale)
    y, factors = F.leaky_relu(x, slope), torch.where(x > 0, torch.ones_like(x), slope)
    owner = owners[:, None].expand_as(y)
    maxima = y.new_zeros(len(starts), y.shape[1])
    maxima.scatter_reduce_(0, owner, y, "amax", include_self=False)
    place = (places - starts[owners])[:, None].int()
    largest = (y == maxima[owners]) | y.isnan()
    nowhere = torch.iinfo(torch.int32).max
    argmax = torch.full_like(maxima, nowhere, dtype=torch.int32)
    argmax.scatter_reduce_(0, owner, torch.where(largest, place, nowhere), "amin")
    argmax = torch.where(argmax == nowhere, -1, argmax)

    def summed(each: Tensor) -> Tensor:
        sums = torch.zeros_like(maxima, dtype=torch.float64)
        return sums.index_add_(0, owners, each.double())

    means = (summed(y) / sizes.clamp(min=1)[:, None]).to(z)
    return maxima, argmax, means, summed(factors).to(z), summed(factors * z).to(z)


def _row_moments_fake(values: Tensor) -> Tensor:
    return values.new_empty((2, values.shape[1]), dtype=torch.float64)


def _segment_pool_fake(
    values: Tensor,
    scale: Tensor,
    shift: Tensor,
    members: Tensor | None,
    starts: Tensor,
    sizes: Tensor,
    slope: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    shape = (starts.shape[0], values.shape[1])
    argmax = values.new_empty(shape, dtype=torch.int32)
    rest = [values.new_empty(shape) for _ in range(4)]
    return rest[0], argmax, rest[1], rest[2], rest[3]


declare("row_moments(Tensor values) -> Tensor", _row_moments_torch, _row_moments_fake)
declare(
    f"segment_pool({GIVEN}float slope) -> (Tensor maxima, Tensor argmax, Tensor means, "
    "Tensor slopes, Tensor products)",
    _segment_pool_torch,
    _segment_pool_fake,
)
