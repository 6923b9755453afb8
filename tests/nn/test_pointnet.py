"""`pcclust.nn.PointNet` against a point-by-point reading of the paper."""

import pytest
import torch
from torch import Tensor, nn

from pcclust.nn import PointNet
from tests.nn.example_clouds import objects, relative, small_backbone


def run(layers: nn.Sequential, rows: Tensor) -> Tensor:
    """Applies linear layer, running BatchNorm and ReLU in turn."""
    for linear, norm in zip(layers[::3], layers[1::3], strict=True):
        rows = layer(linear, norm, rows)
    return rows


def layer(linear: nn.Linear, norm: nn.BatchNorm1d, rows: Tensor) -> Tensor:
    rows = rows @ linear.weight.t()
    deviation = (norm.running_var + norm.eps).sqrt()
    return ((rows - norm.running_mean) / deviation * norm.weight + norm.bias).clamp(min=0)


def manual(network: PointNet, cloud: Tensor) -> Tensor:
    x = cloud
    steps = ((network.input_transform, network.first), (network.feature_transform, network.second))
    for transform, layers in steps:
        if transform is not None:
            hidden = run(transform.points, x)
            pooled = layer(transform.pooling.linear, transform.pooling.norm, hidden).amax(dim=0)
            vector = run(transform.hidden, pooled[None]) @ transform.matrix.weight.t()
            x = x @ (vector + transform.matrix.bias).view(x.shape[1], x.shape[1])
        x = run(layers, x)
    return layer(network.pooling.linear, network.pooling.norm, x).amax(dim=0)


@pytest.mark.parametrize("transforms", [(True, True), (True, False), (False, False)])
def test_equals_the_paper(transforms: tuple[bool, bool]) -> None:
    torch.manual_seed(1)
    network, points = PointNet(*transforms, embedding=32).double(), objects(4, 50, torch.float64)
    for parameter in network.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    network(points)
    network.eval()
    expected = torch.stack([manual(network, cloud) for cloud in points])
    assert relative(network(points), expected) < 1e-12


def test_transforms_begin_at_the_identity() -> None:
    network, points = PointNet(True, True), objects(4, 50)
    x = points.flatten(0, 1)
    assert torch.equal(network.input_transform(x, [50] * 4), x)


def test_a_single_cloud_cannot_train_a_transform() -> None:
    with pytest.raises(ValueError, match=r"batch of one.*drop the last"):
        small_backbone("pointnet")(objects(1, 40))
