"""Backbones in other precisions than float32, and of no clouds at all."""

import copy

import pytest
import torch
from torch import Tensor, nn

from pcclust.nn import Classifier, create_backbone
from tests.nn.example_clouds import SMALL, objects, small_backbone

pytestmark = pytest.mark.parametrize("name", ["clusternet", "dgcnn", "pointnet"])

# Rounding of the format, 2⁻⁸ and 2⁻¹¹, grows a few times on the way through the layers, and DGCNN's
# later neighbours change by it.
CLOSE = {torch.bfloat16: 0.04, torch.float16: 0.008, torch.float64: 1e-5}


def apart(found: Tensor, expected: Tensor) -> float:
    """Returns the size of the difference relative to that of what is expected."""
    return float((found.detach().double() - expected.detach()).norm() / expected.detach().norm())


def trained(name: str) -> nn.Module:
    """Returns a backbone whose running statistics are those of shapes."""
    network = small_backbone(name).train()
    with torch.no_grad():
        for seed in range(20):
            torch.manual_seed(seed)
            network(objects(6, 64))
    return network.eval()


@pytest.mark.parametrize("dtype", list(CLOSE))
def test_weights_of_any_precision_give_nearly_the_same(name: str, dtype: torch.dtype) -> None:
    network, points = trained(name), objects(3, 64)
    expected = network(points)
    narrow = copy.deepcopy(network).to(dtype)
    found = narrow(points)
    assert found.dtype == dtype
    assert apart(found, expected) < CLOSE[dtype]
    rounded = points.to(dtype)
    assert apart(narrow(rounded), network(rounded.float())) < CLOSE[dtype]
    padded = narrow(torch.cat([rounded, rounded], dim=1), lengths=torch.full((3,), 64))
    assert apart(padded, narrow(rounded)) < CLOSE[dtype]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_gives_nearly_the_same(name: str, dtype: torch.dtype) -> None:
    network, points = trained(name), objects(3, 64)
    with torch.autocast("cpu", dtype=dtype):
        found = network(points)
    assert apart(found, network(points)) < CLOSE[dtype]


@pytest.mark.parametrize("autocast", [False, True])
def test_half_precision_can_be_trained(name: str, autocast: bool) -> None:
    network, points = small_backbone(name).train(), 40 * objects(3, 64)
    network = network if autocast else network.to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        y = network(points)
    y.float().square().mean().backward()
    assert y.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("lengths", [None, torch.zeros(0, dtype=torch.int64)])
def test_no_clouds_have_no_vectors(name: str, dtype: torch.dtype, lengths: Tensor | None) -> None:
    network = small_backbone(name).to(dtype).eval()
    empty = network(torch.rand(0, 64, 3), lengths=lengths)
    assert (empty.shape, empty.dtype) == ((0, network.out_channels), dtype)
    scored = Classifier(network, 5).to(dtype).eval()(torch.rand(0, 64, 3), lengths)
    assert (scored.shape, scored.dtype) == ((0, 5), dtype)


def test_coordinates_come_in_the_precision_of_the_weights(name: str) -> None:
    if name != "clusternet":
        return
    settings = SMALL[name] | {"coordinates": True}
    network = create_backbone(name, **settings).to(torch.bfloat16).eval()
    assert network(objects(3, 64)).dtype == torch.bfloat16
