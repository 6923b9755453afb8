"""`scaled_leaky` against the same in torch's own operators."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

import pcclust
from pcclust.ops._registry import why_missing
from pcclust.ops.scaled_leaky import scaled_leaky
from tests.ops.sample_clouds import same_bits

BACKENDS = [backend for backend in ("torch", "cpu") if why_missing(backend) is None]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}


def plain(values: Tensor, scale: Tensor, offset: Tensor, slope: float) -> Tensor:
    return F.leaky_relu(torch.addcmul(offset, values, scale), slope)


def inputs(dtype: torch.dtype, rows: int = 4000, channels: int = 70) -> list[Tensor]:
    torch.manual_seed(0)
    given = [torch.randn(rows, channels, dtype=dtype), *torch.randn(2, channels, dtype=dtype)]
    given[1][::5] = 0
    return [each.requires_grad_() for each in given]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize(("rows", "channels"), [(0, 70), (1, 1), (4000, 70), (33, 16), (5, 0)])
@pytest.mark.parametrize("slope", [0.2, 0.0, 1.5])
def test_equals_torch(
    backend: str, dtype: torch.dtype, rows: int, channels: int, slope: float
) -> None:
    given = inputs(dtype, rows, channels)
    doubles = [each.detach().double().requires_grad_() for each in given]
    pull = torch.randn(rows, channels, dtype=dtype)
    expected = plain(*doubles, slope)
    pulled = torch.autograd.grad(expected, doubles, pull.double())
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        y = scaled_leaky(given[0] + 0, *given[1:], slope)
        found = torch.autograd.grad(y, given, pull)
    for one, other in zip([y, *found], [expected, *pulled], strict=True):
        assert one.dtype == dtype
        torch.testing.assert_close(
            one.double(), other, rtol=TOLERANCES[dtype], atol=10 * TOLERANCES[dtype]
        )


def test_a_negative_slope_is_left_to_torch() -> None:
    given = inputs(torch.float32)
    assert same_bits(scaled_leaky(given[0] + 0, *given[1:], -0.5), plain(*given, -0.5))


@pytest.mark.parametrize("backend", BACKENDS)
def test_only_the_last_backward_overwrites(backend: str) -> None:
    given = inputs(torch.float32)
    values = given[0].detach().clone().requires_grad_()
    before, pull = values.detach().clone(), torch.randn(values.shape)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        y = scaled_leaky(values, *given[1:], 0.2)
        first = torch.autograd.grad(y, [values, *given[1:]], pull, retain_graph=True)
        assert same_bits(values.detach(), before)
        last = torch.autograd.grad(y, [values, *given[1:]], pull)
    assert all(same_bits(a, b) for a, b in zip(first, last, strict=True))
    assert last[0].data_ptr() == values.data_ptr()


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_and_zeros(backend: str) -> None:
    values = torch.tensor([[torch.nan, 0.0, -1.0]]).repeat(1, 7).requires_grad_()
    ones, nothing = torch.ones(21), torch.zeros(21)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        y = scaled_leaky(values + 0, ones, nothing, 0.25)
        (pulled,) = torch.autograd.grad(y, values, torch.ones_like(y))
    assert y[0, ::3].isnan().all()
    assert y[0, 1:3].tolist() == [0, -0.25]
    assert pulled[0, 1:3].tolist() == [0.25, 0.25]


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradcheck(backend: str) -> None:
    given = inputs(torch.float64, 6, 5)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        assert torch.autograd.gradcheck(lambda x, *rest: scaled_leaky(x + 0, *rest, 0.2), given)


@pytest.mark.skipif("cpu" not in BACKENDS, reason="no native library")
def test_threads_change_no_bit() -> None:
    given, threads = inputs(torch.float32, 5000), torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            y = scaled_leaky(given[0] + 0, *given[1:], 0.2)
            results.append([y, *torch.autograd.grad(y, given, torch.ones_like(y))])
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_operators_are_well_made() -> None:
    given = [each.detach() for each in inputs(torch.float32, 40, 20)]
    operators = torch.ops.pcclust
    torch.library.opcheck(operators.scaled_leaky, (*given, 0.2))
    for operator in (operators.scaled_leaky_backward, operators.scaled_leaky_backward_):
        torch.library.opcheck(operator, (torch.randn(40, 20), *given, 0.2))
