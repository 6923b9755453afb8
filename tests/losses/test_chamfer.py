"""Chamfer distance against two loops."""

import math

import pytest
import torch

from pcclust.losses import chamfer


def clouds(n=7, m=5, dims=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shapes = ((2, n, dims), (2, m, dims))
    return tuple(torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)


def written_out(x, y):
    there = [min(math.dist(p, q) ** 2 for q in y) for p in x]
    back = [min(math.dist(p, q) ** 2 for p in x) for q in y]
    return sum(there) / len(there) + sum(back) / len(back)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dims", [2, 3, 5])
def test_it_is_the_formula(dims):
    x, y = clouds(dims=dims)
    expected = [written_out(*pair) for pair in zip(x.tolist(), y.tolist(), strict=True)]
    assert chamfer(x, y).tolist() == pytest.approx(expected)


@pytest.mark.usefixtures("backend")
def test_gradients():
    assert torch.autograd.gradcheck(chamfer, tuple(t.requires_grad_() for t in clouds(4, 3)))


def test_equal_clouds_of_duplicates_have_no_distance_and_a_finite_gradient():
    x = torch.ones(1, 4, 3, requires_grad=True)
    value = chamfer(x, torch.ones(1, 2, 3))
    value.sum().backward()
    assert value.tolist() == [0]
    assert x.grad.isfinite().all()


@pytest.mark.parametrize(
    ("x", "y", "match"),
    [
        (torch.rand(4, 3), torch.rand(4, 3), r"\(B, N, D\)"),
        (torch.rand(1, 4, 3), torch.rand(2, 4, 3), r"\(2, 4, 3\)"),
        (torch.rand(1, 0, 3), torch.rand(1, 4, 3), "is empty"),
        (torch.full((1, 4, 3), torch.nan), torch.rand(1, 4, 3), "finite"),
    ],
)
def test_it_refuses(x, y, match):
    with pytest.raises(ValueError, match=match):
        chamfer(x, y)
