"""The gradients of `segment_pool`, as they are found and into the memory of the rows."""

import pytest
import torch

import pcclust
from pcclust.ops.norm_pool import norm_pool
from tests.ops.segment_cases import BACKENDS, EPS, TOLERANCES, Case, assert_close


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("listed", [False, True])
def test_only_the_last_backward_overwrites(backend: str, listed: bool) -> None:
    case = Case([40, 7, 3000], 35, torch.float32, listed=listed)
    values = case.values.detach().clone().requires_grad_()
    given, before = (values, case.scale, case.shift), values.detach().clone()
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        pooled = norm_pool(*given, EPS, case.segments, 0.2, consume=True)[:2]
        first = torch.autograd.grad(pooled, given, case.pulls, retain_graph=True)
        assert torch.equal(values.detach(), before)
        last = torch.autograd.grad(pooled, given, case.pulls)
    assert all(torch.equal(one, other) for one, other in zip(first, last, strict=True))
    assert last[0].data_ptr() == values.data_ptr()


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_in_no_segment_are_not_overwritten(backend: str) -> None:
    case = Case([5, 9], 6, gaps=True)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        maxima, _, *_ = norm_pool(*case.inputs, EPS, case.segments, 0.2, consume=True)
        (kept,) = torch.autograd.grad(maxima.sum(), case.values)
    assert kept.data_ptr() != case.values.data_ptr()
    suffix = "" if backend == "cpu" else "_torch"
    pool = (*(each.detach() for each in case.inputs), *case.segments)
    argmax = torch.ops.pcclust.segment_pool(*pool, 0.2)[1]
    terms = (*case.pulls, pool[1], pool[2], 0.2)
    with pytest.raises(RuntimeError, match="every row must be in a segment"):
        getattr(torch.ops.pcclust, f"segment_pull_{suffix}")(*pool, argmax, *terms)


@pytest.mark.skipif("cpu" not in BACKENDS, reason="no native library")
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("listed", [False, True])
def test_short_and_long_segments_pull_as_their_twins(dtype: torch.dtype, listed: bool) -> None:
    case = Case([1, 31, 32, 33, 0, 2100], 35, dtype, listed=listed)
    pool = (*(each.detach() for each in case.inputs), *case.segments)
    maxima, argmax, *_ = torch.ops.pcclust.segment_pool(*pool, 0.2)
    for name, terms in (
        ("segment_sums", (case.pulls[0], 0.2)),
        ("segment_pull", (*case.pulls, pool[1], pool[2], 0.2)),
    ):
        found = getattr(torch.ops.pcclust, name)(*pool, argmax, *terms)
        expected = getattr(torch.ops.pcclust, f"{name}_torch")(*pool, argmax, *terms)
        assert_close(found, expected, TOLERANCES[dtype])
    assert maxima[4].tolist() == [0] * 35
    assert argmax[4].tolist() == [-1] * 35
