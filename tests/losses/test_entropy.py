"""Entropy and imbalance against their formulas written out, and at zero."""

import math

import pytest
import torch

from pcclust.losses import entropy, imbalance


def assignments(count=6, clusters=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, clusters, generator=generator, dtype=dtype).softmax(dim=1)


def written_out(row):
    return -sum(value * math.log(value) for value in row if value > 0)


def test_it_is_the_formula_along_any_dimension():
    p = assignments()
    p[2, 1] = 0
    for rows, dim in ((p, 1), (p.T, 0)):
        found = entropy(rows, dim=dim)
        assert found.tolist() == pytest.approx([written_out(row) for row in p.tolist()])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_zeros_have_a_finite_value_and_gradient(dtype):
    p = torch.tensor([1.0, 0.0, 0.0], dtype=dtype, requires_grad=True)
    value = entropy(p)
    value.backward()
    assert float(value) == 0
    assert p.grad.isfinite().all()


def test_a_cluster_that_underflows_gets_no_nan_through_the_softmax():
    logits = torch.tensor([[0.0, -1e4], [1.0, -1e4]], requires_grad=True)
    imbalance(logits.softmax(dim=1)).backward()
    assert logits.grad.isfinite().all()


def test_imbalance_is_zero_for_equal_sizes_and_log_k_for_one_cluster():
    assert float(imbalance(torch.eye(3).repeat(2, 1))) == pytest.approx(0, abs=1e-6)
    assert float(imbalance(torch.eye(3)[[1, 1, 1]])) == pytest.approx(math.log(3))
    p = assignments()
    means = [sum(column) / len(p) for column in p.T.tolist()]
    assert float(imbalance(p)) == pytest.approx(math.log(4) - written_out(means))


def test_gradients():
    p = assignments(3, 4).requires_grad_()
    assert torch.autograd.gradcheck(entropy, (p,))
    assert torch.autograd.gradcheck(imbalance, (p,))


@pytest.mark.parametrize(
    ("p", "error", "match"),
    [
        (torch.rand(3), ValueError, r"\(B, K\).*got \(3,\)"),
        (torch.ones(3, 1), ValueError, "K >= 2"),
        (torch.rand(0, 3), ValueError, "B >= 1"),
        (torch.ones(3, 2).long(), TypeError, "p must be floating"),
    ],
)
def test_it_refuses(p, error, match):
    with pytest.raises(error, match=match):
        imbalance(p)
