"""`pcclust.nn.EdgeConv` against the textbook layer, which holds every edge."""

import pytest
import torch
from torch import Tensor, nn

import pcclust
from pcclust import use_backend
from pcclust.nn import EdgeConv
from pcclust.ops._registry import why_missing
from pcclust.ops.edge_reduce import edge_reduce
from tests.ops.sample_clouds import same_bits, sample_cloud

pytestmark = pytest.mark.usefixtures("backend")


class Textbook(nn.Module):
    """Conv2d on ``[x_i, x_j - x_i]``, BatchNorm2d, LeakyReLU, maximum over neighbours."""

    def __init__(self, layer: EdgeConv) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2 * layer.in_channels, layer.out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(layer.out_channels).double()
        self.conv.weight = nn.Parameter(layer.linear.weight.detach()[:, :, None, None].double())
        self.norm.load_state_dict(layer.norm.state_dict())
        self.norm.momentum = layer.norm.momentum
        self.double().train(layer.training)

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        neighbors = torch.stack([cloud[near] for cloud, near in zip(x, indices, strict=True)])
        own = x[:, :, None].expand_as(neighbors)
        edges = torch.cat([own, neighbors - own], dim=-1).permute(0, 3, 1, 2)
        values = nn.functional.leaky_relu(self.norm(self.conv(edges)), 0.2)
        return values.max(dim=-1).values.transpose(1, 2)


def hostile_layer(channels: int, out: int, dtype: torch.dtype = torch.float32) -> EdgeConv:
    """Returns a layer with negative and zero scales, offsets, and running statistics."""
    torch.manual_seed(out)
    layer = EdgeConv(channels, out).to(dtype)
    with torch.no_grad():
        layer.norm.weight.normal_()
        layer.norm.weight[::5] = 0
        layer.norm.bias.normal_()
        layer.norm.running_mean.normal_()
        layer.norm.running_var.uniform_(0.5, 2)
    return layer


def close(found: Tensor, expected: Tensor, tolerance: float) -> bool:
    scale = max(float(expected.detach().abs().max()), 1.0)
    return float((found - expected).detach().abs().max()) <= tolerance * scale


def assert_equal_layers(layer: EdgeConv, x: Tensor, indices: Tensor, tolerance: float) -> None:
    textbook = Textbook(layer)
    x, x64 = x.clone().requires_grad_(), x.double().clone().requires_grad_()
    y, y64 = layer(x, indices), textbook(x64, indices)
    weights = torch.randn(y.shape, dtype=y.dtype)
    (y * weights).sum().backward()
    (y64 * weights.double()).sum().backward()
    for found, expected in (
        (y, y64),
        (x.grad, x64.grad),
        (layer.linear.weight.grad, textbook.conv.weight.grad[:, :, 0, 0]),
        (layer.norm.weight.grad, textbook.norm.weight.grad),
        (layer.norm.bias.grad, textbook.norm.bias.grad),
        (layer.norm.running_mean, textbook.norm.running_mean),
        (layer.norm.running_var, textbook.norm.running_var),
    ):
        assert found.dtype == x.dtype
        assert close(found, expected, tolerance)
    assert layer.norm.num_batches_tracked == textbook.norm.num_batches_tracked


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("channels", "out", "k"), [(3, 1, 1), (3, 64, 20), (17, 35, 7), (64, 128, 4)]
)
def test_equals_the_textbook_layer(
    dtype: torch.dtype, tolerance: float, training: bool, channels: int, out: int, k: int
) -> None:
    layer = hostile_layer(channels, out, dtype).train(training)
    x = torch.randn(2, 80, channels, dtype=dtype)
    assert_equal_layers(layer, x, pcclust.knn(x, k).indices, tolerance)


@pytest.mark.parametrize("kind", ["lattice", "duplicates", "all_equal", "two_scales"])
def test_ties_go_to_the_first_neighbour(kind: str) -> None:
    x = sample_cloud(kind, 120, dtype=torch.float64).view(2, 60, 3)
    layer = hostile_layer(3, 24, torch.float64)
    layer.norm.momentum = None
    assert_equal_layers(layer, x, torch.randint(0, 60, (2, 60, 9)), 1e-9)


def test_features_far_from_the_origin() -> None:
    x = torch.randn(2, 80, 6) + 1000
    assert_equal_layers(hostile_layer(6, 32), x, pcclust.knn(x, 10).indices, 1e-5)
    assert_equal_layers(hostile_layer(6, 32).eval(), x, pcclust.knn(x, 10).indices, 1e-5)


def test_padding_takes_no_part() -> None:
    lengths, k = torch.tensor([30, 50, 12]), 5
    clouds = [torch.randn(int(n), 4, dtype=torch.float64) for n in lengths]
    near = [pcclust.knn(cloud, k).indices for cloud in clouds]
    x = nn.utils.rnn.pad_sequence(clouds, batch_first=True, padding_value=torch.nan)
    indices = nn.utils.rnn.pad_sequence(near, batch_first=True, padding_value=-1)
    first = torch.tensor([0, 30, 80])
    joined = torch.cat([part + f for part, f in zip(near, first, strict=True)])
    found, expected = hostile_layer(4, 19, torch.float64), hostile_layer(4, 19, torch.float64)
    x.requires_grad_()
    y = found(x, indices, lengths=lengths)
    reference = expected(torch.cat(clouds), joined)
    y.square().sum().backward()
    reference.square().sum().backward()
    valid = torch.arange(50) < lengths[:, None]
    assert close(y[valid], reference, 1e-12)
    assert (y[~valid] == 0).all()
    assert (x.grad[~valid] == 0).all()
    for ours, theirs in zip(found.parameters(), expected.parameters(), strict=True):
        assert close(ours.grad, theirs.grad, 1e-10)
    for name, value in found.norm.named_buffers():
        assert close(value, expected.norm.get_buffer(name), 1e-12)


def test_single_cloud_is_a_batch_of_one() -> None:
    x, layer = torch.randn(40, 3), hostile_layer(3, 16).eval()
    indices = pcclust.knn(x, 6).indices.int()
    assert same_bits(layer(x, indices), layer(x[None], indices[None])[0])


def test_bfloat16_autocast() -> None:
    x, layer = torch.randn(2, 60, 8), hostile_layer(8, 32)
    indices = pcclust.knn(x, 6).indices
    expected = Textbook(layer)(x.double(), indices)
    x.requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y = layer(x, indices)
    y.float().square().sum().backward()
    assert y.dtype == torch.bfloat16
    assert close(y.double(), expected, 0.03)
    assert x.grad.dtype == torch.float32
    assert all(parameter.grad.dtype == torch.float32 for parameter in layer.parameters())


def test_backends_agree_and_threads_change_no_bit() -> None:
    if why_missing("cpu") is not None:
        pytest.skip("one backend only")
    x = torch.randn(3, 400, 5)
    indices = pcclust.knn(x, 9).indices
    before, found = torch.get_num_threads(), []
    try:
        for threads, backend in ((1, "cpu"), (2, "cpu"), (5, "cpu"), (1, "torch")):
            torch.set_num_threads(threads)
            found.append(edge_gradients(x, indices, backend))
    finally:
        torch.set_num_threads(before)
    for other in found[1:3]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))
    assert all(same_bits(a, b) for a, b in zip(found[0][:1], found[3][:1], strict=True))
    assert all(close(a, b, 1e-5) for a, b in zip(found[0], found[3], strict=True))


def edge_gradients(x: Tensor, indices: Tensor, backend: str) -> list[Tensor]:
    """Returns maxima, moments and gradient of the reduction alone."""
    torch.manual_seed(0)
    projected = torch.randn(1200, 2, 37, requires_grad=True)
    sign = torch.randn(37).sign()
    starts, sizes = torch.arange(3) * 400, torch.full((3,), 400)
    with use_backend(backend):
        maxima, sums = edge_reduce(projected, indices.view(1200, -1), starts, sizes, sign, True)
        (maxima.square().sum() + sums.sin().sum()).backward()
    return [maxima.detach(), sums.detach(), projected.grad]


@pytest.mark.parametrize("lengths", [None, torch.tensor([300, 0, 400])])
def test_the_last_backward_may_use_what_was_saved(lengths: Tensor | None) -> None:
    x = torch.randn(3, 400, 5, requires_grad=True)
    indices, layer = torch.randint(0, 300, (3, 400, 9)), hostile_layer(5, 70)
    if lengths is not None:
        indices[1] = -1
    wanted = [x, *layer.parameters()]
    y = layer(x, indices, lengths=lengths)
    pull, again = torch.randn(y.shape), (True, True, False)
    passes = [torch.autograd.grad(y, wanted, pull, retain_graph=keep) for keep in again]
    for kept in passes[:2]:
        assert all(same_bits(a, b) for a, b in zip(kept, passes[2], strict=True))


def test_features_of_others_are_never_overwritten() -> None:
    projected = torch.randn(90, 2, 20, requires_grad=True)
    before, neighbors = projected.detach().clone(), torch.randint(0, 90, (90, 7))
    given = (neighbors, torch.tensor([0]), torch.tensor([90]), torch.ones(20), True)
    edge_reduce(projected, *given)[0].sum().backward()
    assert same_bits(projected.detach(), before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nan_stays_and_gets_the_gradient(dtype: torch.dtype) -> None:
    """As in torch's `max` of v times sign, which is NaN as well where inf meets a sign of 0."""
    torch.manual_seed(0)
    projected = torch.randn(90, 2, 37, dtype=dtype)
    spoiled = torch.rand(90, 37) < 0.1
    projected[:, 1][spoiled] = torch.tensor([torch.nan, torch.inf, -torch.inf])[
        torch.randint(0, 3, (int(spoiled.sum()),))
    ].to(dtype)
    projected[3, 0, 5] = torch.nan
    neighbors = torch.randint(0, 90, (90, 7))
    sign = torch.arange(37).remainder(3).sub(1).to(dtype)
    pull = torch.randn(90, 37, dtype=dtype)
    u, v = projected.clone().requires_grad_().unbind(dim=1)
    edges = v[neighbors]
    places = (edges * sign).max(dim=1, keepdim=True).indices
    expected = u + edges.gather(1, places)[:, 0]
    given = projected.clone().requires_grad_()
    maxima, _ = edge_reduce(given, neighbors, torch.tensor([0]), torch.tensor([90]), sign, False)
    torch.testing.assert_close(maxima, expected, rtol=0, atol=0, equal_nan=True)
    (found,) = torch.autograd.grad(maxima, given, pull)
    for one, other in zip(
        found.unbind(1), torch.autograd.grad(expected, (u, v), pull), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_gradcheck() -> None:
    layer = hostile_layer(3, 18, torch.float64)
    layer.norm.weight.data.abs_()
    x = torch.randn(2, 12, 3, dtype=torch.float64, requires_grad=True)
    indices = pcclust.knn(x.detach(), 4).indices
    assert torch.autograd.gradcheck(lambda x: layer(x, indices), (x,))


def test_state_dict_reads_well() -> None:
    layer, other = hostile_layer(3, 8), EdgeConv(3, 8)
    assert [*layer.state_dict()] == [
        "linear.weight",
        *(f"norm.{n}" for n in ("weight", "bias", "running_mean", "running_var")),
        "norm.num_batches_tracked",
    ]
    other.load_state_dict(layer.state_dict())
    x = torch.randn(30, 3)
    indices = pcclust.knn(x, 4).indices
    assert same_bits(other.eval()(x, indices), layer.eval()(x, indices))


@pytest.mark.parametrize(
    ("x", "indices", "error", "message"),
    [
        (torch.rand(9, 4), torch.zeros(9, 2).long(), ValueError, "C=3, got"),
        (torch.rand(9, 3), torch.zeros(8, 2).long(), ValueError, "indices must be"),
        (torch.rand(9, 3), torch.zeros(9, 0).long(), ValueError, "k >= 1"),
        (torch.rand(9, 3), torch.zeros(9, 2), TypeError, "indices must be integers"),
        (torch.ones(9, 3).long(), torch.zeros(9, 2).long(), TypeError, "x must be floating"),
        (torch.rand(1, 3), torch.zeros(1, 1).long(), ValueError, "more than one edge"),
        (torch.rand(9, 3), torch.full((9, 2), 9), RuntimeError, "hold 9, but the cloud has 9"),
        (torch.rand(9, 3), torch.full((9, 2), -1), RuntimeError, "hold -1"),
    ],
)
def test_wrong_input_is_named(x: Tensor, indices: Tensor, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        EdgeConv(3, 8)(x, indices)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compilers() -> None:
    x, layer = torch.randn(2, 30, 3), hostile_layer(3, 20).eval()
    indices = pcclust.knn(x, 4).indices
    expected = layer(x, indices)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    assert close(compiled(x, indices), expected, 1e-6)
    compiled.train()(x.requires_grad_(), indices).sum().backward()
    assert x.grad.isfinite().all()
    layer.eval()
    x = x.detach()
    batch, count = torch.export.Dim("B", min=2), torch.export.Dim("N", min=4)
    shapes = {"x": {0: batch, 1: count}, "indices": {0: batch, 1: count}}
    exported = torch.export.export(layer, (x, indices), dynamic_shapes=shapes)
    near = pcclust.knn(x[:, :20], 4).indices
    assert close(exported.module()(x[:, :20], near), layer(x[:, :20], near), 1e-6)


def test_operators_are_well_made() -> None:
    x = torch.randn(2, 30, 3)
    graph = (pcclust.knn(x, 4).indices.view(60, 4), torch.arange(2) * 30, torch.full((2,), 30))
    projected, sign = torch.randn(60, 2, 18), torch.randn(18).sign()
    operators = torch.ops.pcclust
    torch.library.opcheck(operators.edge_reduce, (projected, *graph, sign, True))
    maxima, argmax, sums = operators.edge_reduce(projected, *graph, sign, True)
    backward = (maxima, sums, projected, *graph, argmax, True)
    torch.library.opcheck(operators.edge_reduce_backward, backward)
    in_place = operators.edge_reduce_backward_
    torch.library.opcheck(in_place, backward)
    expected = operators.edge_reduce_backward(*backward)
    in_place(*backward)
    assert same_bits(projected, expected)
    if why_missing("cpu") is None:
        with pytest.raises(RuntimeError, match="argmax holds positions outside"):
            operators.edge_reduce_backward(*backward[:-2], argmax + 30, True)
