"""`pcclust.nn.RRIModule` against the same layers written out on every edge."""

import pytest
import torch
from torch import Tensor, nn

import pcclust
from pcclust.nn import RRIModule
from tests.nn.example_clouds import objects, relative


class Plain(nn.Module):
    """Holds the features of every edge, with torch's own BatchNorm."""

    def __init__(self, module: RRIModule) -> None:
        super().__init__()
        hidden, out = module.linear1.out_features, module.out_channels
        self.input_norm = nn.BatchNorm1d(4, affine=False)
        self.linear1, self.norm1 = nn.Linear(4, hidden, bias=False), nn.BatchNorm1d(hidden)
        self.linear2, self.norm2 = nn.Linear(hidden, out, bias=False), nn.BatchNorm1d(out)
        self.double().load_state_dict(module.state_dict())
        self.train(module.training)

    def forward(self, features: Tensor) -> Tensor:
        edges = features.clone()
        edges[..., 1] -= edges[..., 0]
        x = self.input_norm(edges.reshape(-1, 4))
        x = nn.functional.leaky_relu(self.norm1(self.linear1(x)), 0.2)
        x = nn.functional.leaky_relu(self.norm2(self.linear2(x)), 0.2)
        return x.view(*features.shape[:-1], -1).amax(dim=-2)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 2e-3)])
@pytest.mark.parametrize("count", [30, 700])  # fewer and more than are worked on at a time
def test_equals_the_layers_written_out(dtype: torch.dtype, tolerance: float, count: int) -> None:
    torch.manual_seed(0)
    module = RRIModule(24, hidden_channels=12).to(dtype)
    for parameter in module.parameters():
        parameter.data.add_(0.3 * torch.randn_like(parameter))
    features = pcclust.rri(objects(2, count, dtype), 6)
    for training in (True, False):
        module.train(training)
        plain = Plain(module)
        found, expected = module(features), plain(features.double())
        assert relative(found, expected) < tolerance
        weights = torch.randn(found.shape, dtype=dtype)
        ours = torch.autograd.grad((found * weights).sum(), list(module.parameters()))
        theirs = torch.autograd.grad((expected * weights).sum(), list(plain.parameters()))
        for one, other in zip(ours, theirs, strict=True):
            assert relative(one, other) < 10 * tolerance
        for one, other in zip(module.buffers(), plain.buffers(), strict=True):
            assert torch.allclose(one.double(), other.double(), rtol=tolerance, atol=tolerance)


def test_any_leading_shape() -> None:
    module, features = RRIModule(8).eval(), pcclust.rri(objects(2, 30), 5)
    assert module(features).shape == (2, 30, 8)
    assert relative(module(features[1]), module(features)[1]) < 1e-6
    assert relative(module(features[1, 3]), module(features)[1, 3]) < 1e-6


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"\(\.\.\., k, 4\), got \(30, 5, 3\)"):
        RRIModule(8)(torch.rand(30, 5, 3))
    with pytest.raises(ValueError, match="more than one neighbour"):
        RRIModule(8)(torch.rand(1, 1, 4))
