"""`scaled_leaky` against the same in torch's own operators."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pcclust.nn._scaled_leaky import scaled_leaky
from tests.ops.sample_clouds import same_bits


def plain(values: Tensor, scale: Tensor, offset: Tensor, slope: float) -> Tensor:
    return F.leaky_relu(torch.addcmul(offset, values, scale), slope)


def inputs(dtype: torch.dtype, rows: int = 4000, channels: int = 70) -> list[Tensor]:
    torch.manual_seed(0)
    given = [torch.randn(rows, channels, dtype=dtype), *torch.randn(2, channels, dtype=dtype)]
    given[1][::5] = 0
    return [each.requires_grad_() for each in given]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [0, 1, 4000])
@pytest.mark.parametrize("slope", [0.2, 0.0, -0.5])
def test_same_bits_as_torch(dtype: torch.dtype, rows: int, slope: float) -> None:
    given = inputs(dtype, rows)
    pull = torch.randn(rows, 70, dtype=dtype)
    y, expected = scaled_leaky(given[0] + 0, *given[1:], slope), plain(*given, slope)
    assert same_bits(y, expected)
    if slope < 0:
        return  # torch's own
    found = torch.autograd.grad(y, given, pull)
    for one, other in zip(found, torch.autograd.grad(expected, given, pull), strict=True):
        assert same_bits(one, other)


def test_only_the_last_backward_overwrites() -> None:
    given = inputs(torch.float32)
    values = given[0].detach().clone().requires_grad_()
    before, pull = values.detach().clone(), torch.randn(values.shape)
    y = scaled_leaky(values, *given[1:], 0.2)
    first = torch.autograd.grad(y, [values, *given[1:]], pull, retain_graph=True)
    assert same_bits(values.detach(), before)
    last = torch.autograd.grad(y, [values, *given[1:]], pull)
    assert all(same_bits(a, b) for a, b in zip(first, last, strict=True))
    assert last[0].data_ptr() == values.data_ptr()


def test_gradcheck() -> None:
    given = inputs(torch.float64, 6, 5)
    assert torch.autograd.gradcheck(lambda x, *rest: scaled_leaky(x + 0, *rest, 0.2), given)
