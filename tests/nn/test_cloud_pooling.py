"""The last layer and what it is made of, against torch's own operations."""

import pytest
import torch
from torch import Tensor, nn

from pcclust.nn._linear import linear
from pcclust.nn.cloud_pooling import CloudPooling
from tests.nn.example_clouds import relative


@pytest.mark.parametrize("sizes", [[40, 40], [7, 1, 60]])
@pytest.mark.parametrize(("slope", "mean"), [(0.2, True), (0.0, False)])
def test_equals_the_layers_written_out(sizes: list[int], slope: float, mean: bool) -> None:
    torch.manual_seed(0)
    layer = CloudPooling(6, 20, negative_slope=slope, mean=mean).double()
    layer.norm.weight.data.normal_()
    layer.norm.weight.data[::5] = 0
    layer.norm.bias.data.normal_()
    norm = nn.BatchNorm1d(20).double()
    norm.load_state_dict(layer.norm.state_dict())
    x = torch.randn(sum(sizes), 6).double()
    x[3] = x[1]  # the first of equals gets the gradient, as of `max` and unlike that of `amax`
    for training in (True, False):
        layer.train(training)
        norm.train(training)
        y = nn.functional.leaky_relu(norm(x @ layer.linear.weight.t()), slope)
        clouds = y.split(sizes)
        expected = torch.stack([cloud.max(dim=0).values for cloud in clouds])
        if mean:
            means = torch.stack([cloud.mean(dim=0) for cloud in clouds])
            expected = torch.cat([expected, means], dim=1)
        found = layer(x, sizes)
        assert relative(found, expected) < 1e-12
        weights = torch.randn(found.shape).double()
        ours = torch.autograd.grad((found * weights).sum(), list(layer.parameters()))
        wanted = [layer.linear.weight, norm.weight, norm.bias]
        theirs = torch.autograd.grad((expected * weights).sum(), wanted)
        for one, other in zip(ours, theirs, strict=True):
            assert relative(one, other) < 1e-9
    assert relative(layer.norm.running_mean, norm.running_mean) < 1e-12
    assert relative(layer.norm.running_var, norm.running_var) < 1e-12


@pytest.mark.parametrize("rows", [1, 31, 33, 512, 1000, 4096])
@pytest.mark.parametrize("biased", [True, False])
def test_linear_is_linear(rows: int, biased: bool) -> None:
    x, weight, bias = torch.randn(rows, 5), torch.randn(7, 5), torch.randn(7)
    inputs = [each.requires_grad_() for each in ([x, weight, bias] if biased else [x, weight])]
    upstream = torch.randn(rows, 7)

    def results(y: Tensor) -> list[Tensor]:
        return [y, *torch.autograd.grad((y * upstream).sum(), inputs)]

    found, expected = results(linear(*inputs)), results(nn.functional.linear(*inputs))
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        assert relative(one, other) < 1e-5
