"""Which backward pass is the last one through its graph."""

from typing import Any

import pytest
import torch
from torch import Tensor

from pcclust.ops._last_backward import in_last_backward


class _Spy(torch.autograd.Function):
    seen: list[bool]

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        _Spy.seen.append(in_last_backward())
        return gradient


def test_the_last_is_that_which_keeps_no_graph() -> None:
    _Spy.seen = []
    x = torch.ones(3, requires_grad=True)
    y = _Spy.apply(x).square().sum()
    torch.autograd.grad(y, x, retain_graph=True)
    torch.autograd.grad(y, x, create_graph=True)
    y.backward()
    assert _Spy.seen == [False, False, True]
    assert not in_last_backward()


def test_a_torch_that_cannot_tell_keeps_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch._C._autograd, "_get_current_graph_task_keep_graph")
    _Spy.seen = []
    _Spy.apply(torch.ones(3, requires_grad=True)).sum().backward()
    assert _Spy.seen == [False]
