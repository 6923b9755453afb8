"""`pcclust.rri` under autograd, `torch.func`, `torch.compile`, `torch.export` and `opcheck`."""

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import pcclust
from pcclust.ops._clouds import flatten
from tests.ops.sample_clouds import sample_cloud
from tests.ops.test_rri import DEGENERATE

pytestmark = pytest.mark.usefixtures("backend")


def cloud(count: int = 12, seed: int = 0) -> Tensor:
    return sample_cloud("normal", count, dtype=torch.float64, seed=seed).requires_grad_()


@pytest.mark.parametrize("center", ["centroid", "origin"])
def test_first_and_second_derivatives(center: str) -> None:
    def features(points: Tensor) -> Tensor:
        return pcclust.rri(points, 4, center=center)

    assert gradcheck(features, (cloud(),), atol=1e-4)
    assert gradgradcheck(features, (cloud(7),), atol=1e-3, rtol=1e-2)


def test_derivatives_of_batches_stay_in_their_cloud() -> None:
    one, other = cloud(9).detach(), cloud(14, seed=1).detach()

    def alone(points: Tensor) -> Tensor:
        points = points.clone().requires_grad_()
        pcclust.rri(points, 3).square().sum().backward()
        return points.grad

    expected = torch.cat([alone(one), alone(other)])
    packed = torch.cat([one, other]).requires_grad_()
    pcclust.rri(packed, 3, offsets=torch.tensor([0, 9, 23])).square().sum().backward()
    torch.testing.assert_close(packed.grad, expected)
    padded = torch.full((2, 14, 3), torch.nan, dtype=torch.float64)
    padded[0, :9], padded[1] = one, other
    padded.requires_grad_()
    pcclust.rri(padded, 3, lengths=torch.tensor([9, 14])).square().sum().backward()
    torch.testing.assert_close(torch.cat([padded.grad[0, :9], padded.grad[1]]), expected)
    assert (padded.grad[0, 9:] == 0).all()


@pytest.mark.parametrize("name", DEGENERATE)
def test_degenerate_clouds_have_finite_derivatives(name: str) -> None:
    points = torch.tensor(DEGENERATE[name], dtype=torch.float64, requires_grad=True)
    features = pcclust.rri(points, len(points) - 1)
    (first,) = torch.autograd.grad(features.square().sum(), points, create_graph=True)
    assert first.isfinite().all()
    if first.requires_grad:
        (second,) = torch.autograd.grad(first.square().sum(), points)
        assert second.isfinite().all()


def test_the_gap_of_neighbours_in_one_direction_is_constant() -> None:
    points = torch.tensor([[0, 0, 4.0], [1, 0, 4], [2, 1e-7, 4]]).double().requires_grad_()
    gaps = pcclust.rri(points, 2, center="origin")[0, :, 3]
    assert gaps.tolist() == [0, 2 * torch.pi]
    (gradient,) = torch.autograd.grad(gaps.sum(), points)
    assert (gradient == 0).all()


@pytest.mark.parametrize("kind", ["normal", "lattice", "duplicates", "huge", "far_away"])
def test_asking_for_a_gradient_does_not_change_the_code(kind: str) -> None:
    for dtype in (torch.float32, torch.float64):
        points = sample_cloud(kind, 50, dtype=dtype)
        watched = pcclust.rri_encode(points.clone().requires_grad_(), 9)
        for part, plain in zip(watched, pcclust.rri_encode(points, 9), strict=True):
            assert torch.equal(part.detach(), plain)
        # Without links a kernel may take a shorter way, to rounding.
        torch.testing.assert_close(pcclust.rri(points, 9), watched.features.detach())


def test_half_precision_carries_gradients() -> None:
    points = sample_cloud("normal", 20, dtype=torch.float16).requires_grad_()
    pcclust.rri(points, 4).sum().backward()
    assert points.grad.dtype == torch.float16
    assert points.grad.isfinite().all()
    assert (points.grad != 0).any()


def test_vmap_equals_a_loop() -> None:
    points = torch.stack([cloud(30, seed).detach() for seed in range(4)])
    found = torch.vmap(lambda p: pcclust.rri(p, 5))(points)
    torch.testing.assert_close(found, torch.stack([pcclust.rri(p, 5) for p in points]))
    pairs = points.view(2, 2, 30, 3)
    twice = torch.vmap(torch.vmap(lambda p: pcclust.rri(p, 5)))(pairs)
    torch.testing.assert_close(twice, found.view(2, 2, 30, 5, 4))
    code = torch.vmap(lambda p: tuple(pcclust.rri_encode(p, 5)), in_dims=1)(points.movedim(0, 1))
    for part, expected in zip(code, pcclust.rri_encode(points, 5), strict=True):
        torch.testing.assert_close(part, expected)


def test_functional_derivatives_agree_with_autograd() -> None:
    points = torch.stack([cloud(8, seed).detach() for seed in range(3)])

    def energy(p: Tensor) -> Tensor:
        return pcclust.rri(p, 3).square().sum()

    leaves = points.clone().requires_grad_()
    pcclust.rri(leaves, 3).square().sum().backward()
    torch.testing.assert_close(torch.vmap(torch.func.grad(energy))(points), leaves.grad)
    direction = torch.ones_like(points[0])
    direction[0, 0] = 3.0
    _, forward = torch.func.jvp(energy, (points[0],), (direction,))
    torch.testing.assert_close(forward, (leaves.grad[0] * direction).sum())
    hessian = torch.autograd.functional.hessian(energy, points[0])
    torch.testing.assert_close(torch.func.hessian(energy)(points[0]), hessian)


@pytest.mark.parametrize("operator", ["rri", "rri_links"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_opcheck(operator: str, dtype: torch.dtype) -> None:
    clouds = flatten(sample_cloud("normal", 40, dtype=dtype).view(2, 20, 3))
    centers = torch.zeros(2, 3, dtype=dtype)
    arguments = (clouds.rows, clouds.starts, clouds.sizes, centers, 5)
    torch.library.opcheck(getattr(torch.ops.pcclust, operator).default, arguments)


def test_compiles_to_one_graph_with_gradient() -> None:
    check_compiled(backend="aot_eager")


@pytest.mark.slow
def test_compiles_to_native_code_with_gradient() -> None:
    check_compiled(backend="inductor")


def check_compiled(backend: str) -> None:
    compiled = torch.compile(
        lambda p: pcclust.rri(p, 5), fullgraph=True, dynamic=True, backend=backend
    )
    for count in (20, 33):
        points = cloud(count)
        plain = pcclust.rri(points, 5)
        found = compiled(points)
        torch.testing.assert_close(found, plain)
        (expected,) = torch.autograd.grad(plain.square().sum(), points)
        (gradient,) = torch.autograd.grad(found.square().sum(), points)
        torch.testing.assert_close(gradient, expected)
    with torch.no_grad():
        torch.testing.assert_close(compiled(points), plain)


def test_compiles_padded_batches() -> None:
    compiled = torch.compile(
        lambda p, n: tuple(pcclust.rri_encode(p, 5, lengths=n)),
        fullgraph=True,
        backend="aot_eager",
    )
    points, lengths = sample_cloud("normal", 60).view(2, 30, 3), torch.tensor([30, 11])
    expected = pcclust.rri_encode(points, 5, lengths=lengths)
    for found, part in zip(compiled(points, lengths), expected, strict=True):
        torch.testing.assert_close(found, part)


class Features(torch.nn.Module):
    def forward(self, points: Tensor) -> Tensor:
        return pcclust.rri(points, 5)


def test_exports_with_dynamic_sizes() -> None:
    points = sample_cloud("normal", 60).view(2, 30, 3)
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("count", min=6)}
    program = torch.export.export(Features(), (points,), dynamic_shapes=(sizes,))
    other = sample_cloud("normal", 250, seed=1).view(5, 50, 3)
    torch.testing.assert_close(program.module()(other), pcclust.rri(other, 5))
