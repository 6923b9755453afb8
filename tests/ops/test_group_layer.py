"""The perceptron on groups against the same layers written out, in float64, under autograd."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import pcclust
from pcclust.ops._registry import why_missing
from pcclust.ops.group_max import group_max
from pcclust.ops.group_moments import group_moments

BACKENDS = [backend for backend in ("torch", "cpu") if why_missing(backend) is None]
TOLERANCES = {torch.float32: 1e-4, torch.float64: 1e-12}


class Case:
    """Random layers and groups, to be given to the operators and to the reference."""

    def __init__(
        self,
        groups: int = 50,
        k: int = 7,
        inputs: int = 4,
        hidden: int = 12,
        channels: int = 20,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)

        def drawn(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()

        self.features = drawn(groups, k, inputs)
        self.weight, self.bias = drawn(hidden, inputs), drawn(hidden)
        self.out_weight = drawn(channels, hidden)
        self.first = [self.features, self.weight, self.bias]
        self.pulls = [drawn(groups, channels), drawn(hidden).double(), drawn(hidden, hidden)]

    def doubles(self) -> "Case":
        """Returns the same case in float64."""
        case = Case()
        first = [tensor.detach().double().requires_grad_() for tensor in self.first]
        case.first = first
        case.features, case.weight, case.bias = first
        case.out_weight = self.out_weight.detach().double().requires_grad_()
        case.pulls = [pull.detach().double() for pull in self.pulls]
        return case


def hidden_of(case: Case, slope: float) -> Tensor:
    return F.leaky_relu(case.features @ case.weight.T + case.bias, slope)


def reference(case: Case, slope: float) -> tuple[Tensor, Tensor, Tensor]:
    hidden = hidden_of(case, slope)
    # `max` with indices, unlike `amax`, gives the first of equals the whole gradient.
    maxima = (hidden @ case.out_weight.T).max(dim=1).values
    flat = hidden.flatten(0, 1)
    return maxima, flat.sum(dim=0), flat.T @ flat


def operators(case: Case, slope: float) -> tuple[Tensor, Tensor, Tensor]:
    maxima = group_max(*case.first, case.out_weight, slope)
    return maxima, *group_moments(*case.first, slope)


def gradients(case: Case, results: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    value = sum((r.double() * p.double()).sum() for r, p in zip(results, case.pulls, strict=True))
    assert isinstance(value, Tensor)
    return list(torch.autograd.grad(value, [*case.first, case.out_weight]))


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    scale = float(expected.detach().abs().max()) if expected.numel() else 0.0
    assert float((found.double() - expected).detach().abs().max() if found.numel() else 0.0) <= (
        tolerance * max(scale, 1e-3)
    )


@pytest.mark.parametrize("backend", BACKENDS)
@given(
    groups=st.integers(1, 80),
    k=st.sampled_from([1, 2, 5, 20, 150]),
    inputs=st.integers(1, 6),
    hidden=st.sampled_from([1, 5, 16, 33]),
    channels=st.sampled_from([1, 8, 31, 80]),
    slope=st.sampled_from([0.0, 0.2, 1.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 10**6),
)
def test_equal_the_layers_written_out(
    backend: str,
    groups: int,
    k: int,
    inputs: int,
    hidden: int,
    channels: int,
    slope: float,
    dtype: torch.dtype,
    seed: int,
) -> None:
    case = Case(groups, k, inputs, hidden, channels, dtype, seed)
    doubles = case.doubles()
    expected = reference(doubles, slope)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        found = operators(case, slope)
        assert [result.dtype for result in found] == [dtype, torch.float64, torch.float64]
        for one, other in zip(found, expected, strict=True):
            assert_close(one, other, TOLERANCES[dtype])
        if dtype == torch.float64:  # in float32 rounding may choose another of near-equal members
            for one, other in zip(
                gradients(case, found), gradients(doubles, expected), strict=True
            ):
                assert_close(one, other, 1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_float32_gradients(backend: str) -> None:
    case = Case(3000, 20, 4, 32, 64, torch.float32)
    doubles = case.doubles()
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        found = gradients(case, operators(case, 0.2))
    for one, other in zip(found, gradients(doubles, reference(doubles, 0.2)), strict=True):
        assert float((one - other).norm() / other.norm()) < 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_first_of_equal_members_gets_the_gradient(backend: str) -> None:
    case = Case(groups=4, k=6)
    twice = case.features.detach()[:, [0, 1, 2, 0, 1, 2]].requires_grad_()
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        maxima = group_max(twice, case.weight, case.bias, case.out_weight, 0.2)
    (gradient,) = torch.autograd.grad(maxima.sum(), twice)
    assert gradient[:, :3].abs().sum() > 0
    assert gradient[:, 3:].abs().sum() == 0


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", TOLERANCES)
def test_nan_stays_and_gets_the_gradient(backend: str, dtype: torch.dtype) -> None:
    """First, last and between, twice in a group, and in a weight: all is as of torch's `max`."""
    for spoiled in ("features", "weight"):
        case = Case(groups=6, k=6, channels=33, dtype=dtype)
        if spoiled == "weight":
            case.weight.data[3, 1] = torch.nan
        else:
            for group, member in ((0, 0), (1, 5), (2, 3), (3, 2), (3, 4)):
                case.features.data[group, member, 2] = torch.nan
        doubles = case.doubles()
        expected = reference(doubles, 0.2)[0]
        with pcclust.use_backend(backend):  # type: ignore[arg-type]
            found = group_max(*case.first, case.out_weight, 0.2)
            pulled = torch.autograd.grad(found, [*case.first, case.out_weight], case.pulls[0])
        pulls = torch.autograd.grad(
            expected, [*doubles.first, doubles.out_weight], doubles.pulls[0]
        )
        for one, other in zip((found, *pulled), (expected, *pulls), strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_groups(backend: str) -> None:
    case = Case(groups=0)
    with pcclust.use_backend(backend):  # type: ignore[arg-type]
        maxima, total, products = operators(case, 0.2)
    assert maxima.shape == (0, 20)
    assert float(total.abs().sum() + products.abs().sum()) == 0


def test_threads_change_no_bit() -> None:
    case, threads = Case(2000, 20, 4, 32, 64, torch.float32), torch.get_num_threads()
    results = []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            found = operators(case, 0.2)
            results.append([*found, *gradients(case, found)])
    finally:
        torch.set_num_threads(threads)
    for one, other in zip(*results, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_gradcheck(slope: float) -> None:
    case = Case(groups=3, k=4, hidden=5, channels=3)
    assert torch.autograd.gradcheck(lambda *a: group_moments(*a, slope), case.first)
    inputs = [*case.first, case.out_weight]
    assert torch.autograd.gradcheck(lambda *a: group_max(*a, slope), inputs)


def test_operators_are_well_made() -> None:
    case = Case()
    first = [tensor.detach() for tensor in case.first]
    weight, pulls = case.out_weight.detach(), [pull.detach() for pull in case.pulls]
    operators = torch.ops.pcclust
    torch.library.opcheck(operators.group_moments, (*first, 0.2))
    torch.library.opcheck(operators.group_moments_backward, (*pulls[1:], *first, 0.2, True))
    torch.library.opcheck(operators.group_max, (*first, weight, 0.2))
    argmax = operators.group_max(*first, weight, 0.2)[1]
    torch.library.opcheck(
        operators.group_max_backward, (pulls[0], argmax, *first, weight, 0.2, False)
    )


@pytest.mark.skipif("cpu" not in BACKENDS, reason="no native library")
def test_kernels_refuse_what_they_would_read_out_of_bounds() -> None:
    case = Case()
    first = [tensor.detach() for tensor in case.first]
    weight, operators = case.out_weight.detach(), torch.ops.pcclust
    with pytest.raises(RuntimeError, match=r"weight must be contiguous \(12, 4\)"):
        operators.group_moments(first[0], first[1][:, :3].contiguous(), first[2], 0.2)
    with pytest.raises(RuntimeError, match="slope must be finite and not negative"):
        operators.group_moments(*first, -0.1)
    with pytest.raises(RuntimeError, match=r"out_weight must be contiguous \(20, 12\)"):
        operators.group_max(*first, weight[:, :5].contiguous(), 0.2)
    argmax = torch.full((50, 20), 7, dtype=torch.int32)
    with pytest.raises(RuntimeError, match="members that a group does not have"):
        operators.group_max_backward(case.pulls[0].detach(), argmax, *first, weight, 0.2, False)
