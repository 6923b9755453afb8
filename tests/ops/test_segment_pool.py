"""BatchNorm, LeakyReLU and pooling in one pass against the same written out, under autograd."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import pcclust
from pcclust.ops.norm_pool import norm_pool
from pcclust.ops.segment_pool import segment_pool
from pcclust.ops.segments import Segments
from tests.ops.segment_cases import BACKENDS, EPS, TOLERANCES, Case, assert_close


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    sizes=st.lists(st.integers(0, 70), max_size=5),
    channels=st.sampled_from([1, 7, 16, 33, 64]),
    slope=st.sampled_from([0.0, 0.2, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    listed=st.booleans(),
    gaps=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_equal_the_steps_written_out(
    backend: str,
    sizes: list[int],
    channels: int,
    slope: float,
    dtype: torch.dtype,
    listed: bool,
    gaps: bool,
    seed: int,
) -> None:
    case = Case(sizes, channels, dtype, seed, listed=listed, gaps=gaps)
    doubles = [tensor.detach().double().requires_grad_() for tensor in case.inputs]
    expected = case.pooled(F.leaky_relu(doubles[0] * doubles[1] + doubles[2], slope))
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        found = segment_pool(case.values, case.scale, case.shift, case.segments, slope)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype == dtype
            assert_close(one, other, TOLERANCES[dtype])
        if dtype == torch.float64 and sum(sizes):  # in float32 rounding may choose another row
            pulled = case.gradients(found, case.inputs)
            for one, other in zip(pulled, case.gradients(expected, doubles), strict=True):
                assert_close(one, other, 1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_norm_pool_is_batch_norm_before_it(backend: str, listed: bool, dtype: torch.dtype) -> None:
    case = Case([40, 1, 30, 3000], 35, dtype, listed=listed)
    doubles = [tensor.detach().double().requires_grad_() for tensor in case.inputs]
    normal = F.batch_norm(doubles[0], None, None, doubles[1], doubles[2], training=True, eps=EPS)
    expected = case.pooled(F.leaky_relu(normal, 0.2))
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        pooled = norm_pool(case.values, case.scale, case.shift, EPS, case.segments, 0.2)
        found = case.gradients(pooled[:2], case.inputs)
    assert_close(pooled.maxima, expected[0], TOLERANCES[dtype])
    assert_close(pooled.means, expected[1], TOLERANCES[dtype])
    assert_close(pooled.mean, doubles[0].mean(dim=0), TOLERANCES[dtype])
    assert_close(pooled.variance, doubles[0].var(dim=0, correction=0), TOLERANCES[dtype])
    for one, other in zip(found, case.gradients(expected, doubles), strict=True):
        assert_close(one, other, 10 * TOLERANCES[dtype])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("used", [0, 1])
def test_a_result_that_nobody_uses_has_no_part(backend: str, used: int) -> None:
    case = Case([4, 0, 3], 5, listed=True)
    shares = [1.0 - used, float(used)]
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        for pooled in (
            segment_pool(*case.inputs, case.segments, 0.2),
            norm_pool(*case.inputs, EPS, case.segments, 0.2)[:2],
        ):
            pulls = [share * pull for share, pull in zip(shares, case.pulls, strict=True)]
            expected = torch.autograd.grad(pooled, case.inputs, pulls, retain_graph=True)
            found = torch.autograd.grad(pooled[used], case.inputs, case.pulls[used])
            for one, other in zip(found, expected, strict=True):
                assert_close(one, other, 1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradcheck(backend: str) -> None:
    case = Case([4, 0, 3], 5, listed=True)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        assert torch.autograd.gradcheck(
            lambda *a: segment_pool(*a, case.segments, 0.2), case.inputs
        )
        assert torch.autograd.gradcheck(
            lambda *a: norm_pool(*a, EPS, case.segments, 0.2)[:2], case.inputs
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_of_equal_rows_gets_the_gradient(backend: str) -> None:
    case = Case([6], 4)
    twice = case.values.detach()[[0, 1, 2, 0, 1, 2]].requires_grad_()
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        maxima, _ = segment_pool(twice, case.scale, case.shift, case.segments, 0.2)
    (gradient,) = torch.autograd.grad(maxima.sum(), twice)
    assert (gradient[:3].abs().sum(dim=0) > 0).all()
    assert gradient[3:].abs().sum() == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_is_seen(backend: str) -> None:
    case = Case([3000, 20], 18, torch.float32)
    case.values.data[2500, 3] = torch.nan
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        for result in segment_pool(case.values, case.scale, case.shift, case.segments, 0.2):
            assert result.isnan().nonzero().tolist() == [[0, 3]]


@pytest.mark.skipif("cpu" not in BACKENDS, reason="no native library")
def test_threads_change_no_bit() -> None:
    case, threads = Case([5000, 3, 0, 900], 40, torch.float32), torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            pooled = norm_pool(case.values, case.scale, case.shift, EPS, case.segments, 0.2)
            results.append([*pooled, *case.gradients(pooled[:2], case.inputs)])
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_the_first_nan_is_the_maximum(backend: str, dtype: torch.dtype) -> None:
    """Within a vector, a block and a piece of a long segment, and behind all of them."""
    values = torch.zeros(5000, 19, dtype=dtype)
    values[2000] = torch.inf
    for channel, places in enumerate(([7], [0, 1], [9, 40, 4999], [1500, 4000])):
        values[places, channel::4] = torch.nan
    given = (values, torch.ones(19, dtype=dtype), torch.zeros(19, dtype=dtype), None)
    rows = (torch.tensor([0]), torch.tensor([5000]), 0.2)
    suffix = "" if backend == "cpu" else "_torch"
    maxima, argmax, *_ = getattr(torch.ops.pcclust, f"segment_pool{suffix}")(*given, *rows)
    assert maxima.isnan().all()
    assert argmax[0].tolist() == ([7, 0, 9, 1500] * 5)[:19]


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_that_cancel_or_vanish_do_not_overflow(backend: str) -> None:
    """Those of mean and maximum are added and take the slope before the scale, which is huge."""
    values = torch.tensor([1.0, -1.0, 2.0]).repeat(19, 1).T.contiguous()
    scale, nothing = torch.full((19,), 1e30), torch.zeros(19)
    segments = (None, torch.tensor([0]), torch.tensor([3]))
    huge = torch.full((1, 19), 1e30)
    given = (values, scale, nothing, *segments, torch.full((1, 19), 2, dtype=torch.int32))
    suffix = "" if backend == "cpu" else "_torch"
    pull = getattr(torch.ops.pcclust, f"segment_pull{suffix}")
    gradient = pull(*given, -huge, huge, nothing, nothing, 0.0)
    assert gradient.T.tolist() == [[torch.inf, 0.0, 0.0]] * 19


@pytest.mark.parametrize("backend", BACKENDS)
def test_statistics_are_those_of_double_precision(backend: str) -> None:
    """Squares that float32 cannot hold, and a variance far below the square of the mean."""
    generator = torch.Generator().manual_seed(0)
    small = torch.randn(3000, 13, generator=generator)
    huge = torch.cat([1e30 * small, -7e-20 * small, 3000 + small], dim=1)
    segments = Segments(None, torch.tensor([0]), torch.tensor([3000]))
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        pooled = norm_pool(huge, torch.ones(39), torch.zeros(39), EPS, segments, 0.2)
    expected = huge.double().var(dim=0, correction=0)
    torch.testing.assert_close(pooled.mean, huge.double().mean(dim=0), rtol=1e-12, atol=0)
    torch.testing.assert_close(pooled.variance, expected, rtol=1e-7, atol=1e-38)


def test_operators_are_well_made() -> None:
    operators = torch.ops.pcclust
    for listed in (False, True):
        case = Case([10, 0, 20], 6, listed=listed)
        given = [tensor.detach() for tensor in case.inputs]
        pool = (*given, *case.segments, 0.2)
        torch.library.opcheck(operators.row_moments, given[:1])
        torch.library.opcheck(operators.segment_pool, pool)
        argmax = operators.segment_pool(*pool)[1]
        terms = (*case.pulls, given[1], given[2], 0.2)
        torch.library.opcheck(operators.segment_pull, (*pool[:-1], argmax, *terms))
        torch.library.opcheck(operators.segment_pull_, (*pool[:-1], argmax, *terms))
        torch.library.opcheck(operators.segment_sums, (*pool[:-1], argmax, case.pulls[0], 0.2))


def test_compiles_and_exports() -> None:
    case = Case([10, 20], 6, torch.float32)
    scale, shift = case.scale.detach(), case.shift.detach()

    class Pooling(torch.nn.Module):
        def forward(self, values: Tensor) -> tuple[Tensor, Tensor]:
            return segment_pool(values, scale, shift, case.segments, 0.2)

    values = case.values.detach()
    expected = Pooling()(values)
    exported = torch.export.export(Pooling(), (values,)).module()
    for found in (exported(values), torch.compile(Pooling(), backend="eager")(values)):
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


@pytest.mark.parametrize("backend", BACKENDS)
def test_refuses_what_does_not_fit(backend: str) -> None:
    case = Case([10, 20], 6, listed=True)
    values, scale, shift = (tensor.detach() for tensor in case.inputs)
    members, starts, sizes = case.segments
    assert members is not None
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        for wrong in (
            (values, scale[:5], shift, members, starts, sizes, 0.2),
            (values, scale, shift.float(), members, starts, sizes, 0.2),
            (values, scale, shift, members + 1, starts, sizes, 0.2),
            (values, scale, shift, members, starts + 1, sizes, 0.2),
            (values, scale, shift, members, starts, sizes, -0.1),
        ):
            with pytest.raises(RuntimeError):
                segment_pool(*wrong[:3], Segments(*wrong[3:6]), wrong[6])
    operator = torch.ops.pcclust.segment_pull if backend == "cpu" else None
    operator = operator or torch.ops.pcclust.segment_pull_torch
    argmax = torch.full((2, 6), 9, dtype=torch.int32)
    rest = (*case.pulls, scale, shift, 0.2)
    with pytest.raises(RuntimeError, match="places outside"):
        operator(values, scale, shift, members, starts, sizes, argmax + 2, *rest)
    with pytest.raises(RuntimeError, match="a row twice"):
        operator(values, scale, shift, members.clamp(min=1), starts, sizes, argmax, *rest)
