"""The contract of all backbones."""

import json

import pytest
import torch
from torch import Tensor

from pcclust.nn import BACKBONES, Classifier, create_backbone
from tests.nn.example_clouds import SMALL, objects, relative, small_backbone
from tests.ops.sample_clouds import same_bits

pytestmark = pytest.mark.parametrize("name", sorted(BACKBONES))
NOTHING_TO_TRAIN = "rri-statistics"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shape_and_dtype(name: str, dtype: torch.dtype) -> None:
    network = small_backbone(name, dtype)
    for training in (True, False):
        y = network.train(training)(objects(3, 40, dtype))
        assert y.shape == (3, network.out_channels)
        assert y.dtype == dtype


@pytest.mark.parametrize("padding", [0.0, 1e6, float("nan")])
def test_a_padded_cloud_equals_the_cloud_alone(name: str, padding: float) -> None:
    network, lengths = small_backbone(name).eval(), torch.tensor([40, 17, 64])
    clouds = [objects(1, int(n))[0] for n in lengths]
    batch = torch.full((3, 64, 3), padding)
    for row, cloud in zip(batch, clouds, strict=True):
        row[: len(cloud)] = cloud
    found = network(batch, lengths=lengths)
    expected = torch.cat([network(cloud[None]) for cloud in clouds])
    assert relative(found, expected) < 2e-6


def test_training_sees_no_padding(name: str) -> None:
    points, lengths = objects(4, 64, torch.float64), torch.full((4,), 48)
    if name == NOTHING_TO_TRAIN:
        return
    found, expected = (small_backbone(name, torch.float64) for _ in range(2))
    torch.manual_seed(1)  # decides which poses are drawn
    found(points, lengths=lengths).square().sum().backward()
    torch.manual_seed(1)
    expected(points[:, :48].contiguous()).square().sum().backward()
    for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        assert relative(ours.grad, theirs.grad) < 1e-8
    for ours, theirs in zip(found.buffers(), expected.buffers(), strict=True):
        assert relative(ours.double(), theirs.double()) < 1e-12


def test_order_of_points_does_not_matter(name: str) -> None:
    network, points = small_backbone(name, torch.float64).eval(), objects(3, 50, torch.float64)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert relative(network(points[:, order]), network(points)) < 1e-10


def test_gradients_reach_every_parameter(name: str) -> None:
    if name == NOTHING_TO_TRAIN:
        return
    network = small_backbone(name)
    weights = torch.randn(4, network.out_channels, generator=torch.Generator().manual_seed(0))
    (network(objects(4, 48)) * weights).sum().backward()
    for parameter_name, parameter in network.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name
        assert (parameter.grad != 0).any(), parameter_name


def test_gradient_of_a_weight_is_the_derivative(name: str) -> None:
    if name == NOTHING_TO_TRAIN:
        assert not list(create_backbone(name).parameters())
        return
    network, points = small_backbone(name, torch.float64), objects(4, 48, torch.float64)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(4, network.out_channels, generator=generator, dtype=torch.float64)
    parameters = list(network.parameters())
    steps = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]

    def loss(step: float) -> Tensor:
        with torch.no_grad():
            for parameter, direction in zip(parameters, steps, strict=True):
                parameter.add_(direction, alpha=step)
        torch.manual_seed(0)  # decides which poses are drawn
        return (network(points) * weights).sum()

    loss(0).backward()
    slope = sum(float((p.grad * d).sum()) for p, d in zip(parameters, steps, strict=True))
    with torch.no_grad():
        ahead, behind = loss(1e-8), loss(-2e-8)
    assert float(ahead - behind) / 2e-8 == pytest.approx(slope, rel=1e-4)


def test_seeds_and_runs_repeat_bits(name: str) -> None:
    results = []
    for _ in range(2):
        network = Classifier(small_backbone(name, seed=3), 5)
        torch.manual_seed(4)
        torch.nn.functional.cross_entropy(network(objects(4, 48)), torch.arange(4)).backward()
        results.append([p.grad for p in network.backbone.parameters()])
    assert all(same_bits(a, b) for a, b in zip(*results, strict=True))


def test_state_dict_carries_everything(name: str) -> None:
    network, points = small_backbone(name).eval(), objects(2, 40)
    other = create_backbone(name, **json.loads(json.dumps(SMALL[name]))).eval()
    other.load_state_dict(network.state_dict())
    assert same_bits(other(points), network(points))


@pytest.mark.parametrize(
    ("points", "lengths", "message"),
    [
        (torch.rand(40, 3), None, r"points must be \(B, N, 3\), got \(40, 3\)"),
        (torch.rand(2, 40, 2), None, r"points must be \(B, N, 3\), got \(2, 40, 2\)"),
        (torch.full((2, 40, 3), torch.nan), None, r"points\[0, 0\] is not finite"),
        (torch.rand(2, 40, 3), torch.tensor([40, 41]), r"lengths\[1\]=41"),
    ],
)
def test_wrong_input_is_named(
    name: str, points: Tensor, lengths: Tensor | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        small_backbone(name)(points, lengths=lengths)


def test_settings_are_checked(name: str) -> None:
    with pytest.raises(ValueError, match="'pointnett' is none of canonical-pose, clusternet"):
        create_backbone("pointnett")
    with pytest.raises(ValueError, match=f"{name}.*unexpected keyword argument 'depth'"):
        create_backbone(name, depth=3)
