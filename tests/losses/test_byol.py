"""BYOL's loss against its formula written out."""

import math

import pytest
import torch

from pcclust.losses import byol


def pair(count=5, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((2, count, width), generator=generator, dtype=torch.float64).unbind()


def test_it_is_the_formula_and_targets_get_no_gradient():
    predictions, targets = (t.requires_grad_() for t in pair())
    total = 0.0
    for p, t in zip(predictions.tolist(), targets.tolist(), strict=True):
        product = sum(a * b for a, b in zip(p, t, strict=True))
        total += 2 - 2 * product / math.hypot(*p) / math.hypot(*t)
    loss = byol(predictions, targets)
    assert loss.item() == pytest.approx(total / 5)
    loss.backward()
    assert targets.grad is None
    assert torch.autograd.gradcheck(lambda p: byol(p, targets), (predictions,))


def test_zeros_are_no_nan():
    predictions = torch.zeros(3, 4, requires_grad=True)
    byol(predictions, torch.ones(3, 4)).backward()
    assert predictions.grad.isfinite().all()


def test_it_refuses():
    with pytest.raises(ValueError, match=r"\(3, 4\) and \(3, 5\)"):
        byol(torch.rand(3, 4), torch.rand(3, 5))
