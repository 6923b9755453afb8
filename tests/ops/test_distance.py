"""Derivatives of neighbour distances, vmap, autocast, and the memory that a search takes."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

import pcclust
from pcclust.ops._distance import _estimate
from tests.ops.sample_clouds import same_bits, sample_cloud

OFFSETS, QUERY_OFFSETS = torch.tensor([0, 4, 12]), torch.tensor([0, 3, 5])
POINTS = sample_cloud("normal", 12, dtype=torch.float64)
QUERIES = sample_cloud("normal", 5, dtype=torch.float64, seed=1)

# Functions of points and queries to distances, one for each way of asking; missing ones are 0.
SEARCHES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "knn": lambda p, q: pcclust.knn(p, 4).distances,
    "knn_others": lambda p, q: pcclust.knn(p, 3, exclude_self=True).distances,
    "knn_queries": lambda p, q: pcclust.knn(p, 4, queries=q).distances,
    "knn_batch": lambda p, q: pcclust.knn(p.view(2, 6, 3), 4).distances,
    "knn_padded": lambda p, q: finite(
        pcclust.knn(p.view(2, 6, 3), 3, lengths=torch.tensor([6, 3])).distances
    ),
    "knn_packed": lambda p, q: (
        pcclust.knn(p, 2, queries=q, offsets=OFFSETS, query_offsets=QUERY_OFFSETS).distances
    ),
    "ball": lambda p, q: finite(pcclust.ball_query(p, 1.5, 6).distances),
    "ball_queries": lambda p, q: finite(pcclust.ball_query(p, 1.5, 3, queries=q).distances),
}
each_search = pytest.mark.parametrize("search", SEARCHES.values(), ids=SEARCHES.keys())


def finite(distances: Tensor) -> Tensor:
    return torch.where(distances.isfinite(), distances, 0)


@each_search
def test_first_and_second_derivatives(backend: str, search) -> None:
    inputs = (POINTS.clone().requires_grad_(), QUERIES.clone().requires_grad_())
    assert search(*inputs).count_nonzero() > 4
    assert gradcheck(search, inputs)
    assert gradgradcheck(search, inputs)


@each_search
def test_forward_mode_agrees_with_reverse_mode(search) -> None:
    def energy(points: Tensor) -> Tensor:
        return search(points, QUERIES).square().sum()

    tangent = torch.randn(POINTS.shape, dtype=torch.float64, generator=torch.manual_seed(0))
    _, slope = torch.func.jvp(energy, (POINTS,), (tangent,))
    torch.testing.assert_close(slope, (torch.func.grad(energy)(POINTS) * tangent).sum())
    expected = torch.autograd.functional.hessian(energy, POINTS)
    torch.testing.assert_close(torch.func.hessian(energy)(POINTS), expected)
    torch.testing.assert_close(torch.func.jacrev(torch.func.grad(energy))(POINTS), expected)


def test_forward_mode_needs_no_transform() -> None:
    with torch.autograd.forward_ad.dual_level():
        dual = torch.autograd.forward_ad.make_dual(POINTS, torch.ones_like(POINTS))
        slope = torch.autograd.forward_ad.unpack_dual(pcclust.knn(dual, 3, queries=QUERIES)[0])
    assert slope.tangent is not None
    assert slope.tangent.abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("dims", [1, 3, 8])
def test_asking_for_a_gradient_changes_no_bit(backend: str, dims: int, dtype: torch.dtype) -> None:
    for kind in ("normal", "lattice", "far_away", "huge", "denormal"):
        points = sample_cloud(kind, 60, dims, dtype)
        queries = sample_cloud(kind, 20, dims, dtype, seed=1)
        watched = points.clone().requires_grad_()
        assert same_bits(
            pcclust.knn(watched, 9, queries=queries).distances.detach(),
            pcclust.knn(points, 9, queries=queries).distances,
        )
        ball, plain = pcclust.ball_query(watched, 0.5, 9), pcclust.ball_query(points, 0.5, 9)
        assert same_bits(ball.distances.detach(), plain.distances)


def test_gradients_come_in_the_dtype_of_the_points(backend: str) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        points = sample_cloud("normal", 20, dtype=dtype).requires_grad_()
        pcclust.knn(points, 3).distances.sum().backward()
        assert points.grad is not None
        assert points.grad.dtype == dtype


def test_padding_and_missing_neighbours_get_no_gradient(backend: str) -> None:
    points = torch.full((2, 7, 3), torch.nan)
    points[0, :5], points[1, :3] = sample_cloud("far_away", 5), sample_cloud("normal", 3)
    points.requires_grad_()
    lengths = torch.tensor([5, 3])
    near = pcclust.knn(points, 2, lengths=lengths).distances
    ball = pcclust.ball_query(points, 0.5, 4, lengths=lengths).distances
    (finite(near[1]).sum() + finite(ball).sum()).backward()
    assert points.grad is not None
    assert points.grad.isfinite().all()
    assert (points.grad[0] == 0).all()
    assert (points.grad[1, 3:] == 0).all()
    assert (points.grad[1, :3] != 0).any()


def test_indices_and_counts_carry_no_gradient(backend: str) -> None:
    points = POINTS.clone().requires_grad_()
    ball = pcclust.ball_query(points, 1.0, 3)
    assert ball.distances.requires_grad
    assert not ball.indices.requires_grad
    assert not ball.counts.requires_grad
    with torch.no_grad():
        assert not pcclust.knn(points, 3).distances.requires_grad


@each_search
def test_vmap_equals_a_loop(backend: str, search, recwarn: pytest.WarningsRecorder) -> None:
    points = sample_cloud("lattice", 48, dtype=torch.float64).view(4, 12, 3)
    queries = sample_cloud("lattice", 20, dtype=torch.float64, seed=1).view(4, 5, 3)

    def energy(p: Tensor, q: Tensor) -> Tensor:
        return search(p, q).square().sum()

    for function in (search, torch.func.grad(energy), torch.func.hessian(energy)):
        one_by_one = torch.stack([function(p, q) for p, q in zip(points, queries, strict=True)])
        torch.testing.assert_close(torch.vmap(function)(points, queries), one_by_one)
        shared = torch.stack([function(p, QUERIES) for p in points])
        last = points.movedim(0, -1)
        mapped = torch.vmap(function, in_dims=(-1, None))(last, QUERIES)
        torch.testing.assert_close(mapped, shared)
    assert not [w for w in recwarn if "performance drop" in str(w.message)]


def test_vmap_returns_the_indices_of_each_entry(backend: str) -> None:
    points = sample_cloud("duplicates", 36).view(3, 12, 3)
    for options in ({}, {"offsets": OFFSETS}):
        mapped = torch.vmap(lambda p, o=options: pcclust.ball_query(p, 0.8, 3, **o))(points)
        for entry, cloud in enumerate(points):
            alone = pcclust.ball_query(cloud, 0.8, 3, **options)
            assert all(same_bits(a[entry], b) for a, b in zip(mapped, alone, strict=True))


def test_vmap_over_queries_lengths_and_twice(backend: str) -> None:
    points, lengths = (
        sample_cloud("normal", 24).view(2, 3, 4, 3),
        torch.tensor([[4, 2, 3], [3, 4, 4]]),
    )
    padded = torch.vmap(lambda p, n: pcclust.knn(p, 2, lengths=n).indices)(points, lengths)
    expected = [pcclust.knn(p, 2, lengths=n).indices for p, n in zip(points, lengths, strict=True)]
    assert same_bits(padded, torch.stack(expected))
    queries = QUERIES.float()
    by_query = torch.vmap(lambda q: pcclust.knn(points[0, 0], 2, queries=q[None]).indices[0])
    assert same_bits(by_query(queries), pcclust.knn(points[0, 0], 2, queries=queries).indices)
    twice = torch.vmap(torch.vmap(lambda p: pcclust.knn(p, 2).indices))(points)
    assert same_bits(twice, torch.stack([pcclust.knn(p, 2).indices for p in points]))


def test_a_gradient_passes_through_vmap(backend: str) -> None:
    points = sample_cloud("normal", 24, dtype=torch.float64).view(2, 12, 3).requires_grad_()
    torch.vmap(lambda p: pcclust.knn(p, 3).distances)(points).sum().backward()
    mapped, points.grad = points.grad, None
    pcclust.knn(points, 3).distances.sum().backward()
    torch.testing.assert_close(mapped, points.grad)


@pytest.mark.parametrize("dims", [3, 32])
def test_autocast_changes_nothing(backend: str, dims: int) -> None:
    points = sample_cloud("normal", 80, dims).requires_grad_()
    results = []
    for enabled in (False, True):
        points.grad = None
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            distances, indices = pcclust.knn(points, 9)
            distances.sum().backward()
        results.append((distances.detach(), indices, points.grad))
    assert all(same_bits(a, b) for a, b in zip(*results, strict=True))


def test_no_setting_of_float32_products_changes_a_neighbour() -> None:
    points = sample_cloud("two_scales", 80, 32)
    with pcclust.use_backend("torch"):
        expected = pcclust.knn(points, 9)
        torch.set_float32_matmul_precision("medium")
        try:
            found = pcclust.knn(points, 9)
        finally:
            torch.set_float32_matmul_precision("highest")
    assert all(same_bits(a, b) for a, b in zip(found, expected, strict=True))


PEAK = """
import resource, sys, torch, pcclust
def growth(count, dims, k):
    points = torch.randn(count, dims, generator=torch.manual_seed(0), requires_grad=True)
    pcclust.knn(points[:100], k).distances.sum().backward()  # loads what torch loads only once
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pcclust.knn(points, k).distances.sum().backward()
    return 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
with pcclust.use_backend(sys.argv[1]):
    print(growth(8_000, 64, 100), growth(20_000, 3, 16))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has other units elsewhere")
def test_memory_stays_far_below_all_pairs(backend: str) -> None:
    command = [sys.executable, "-c", PEAK, backend]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    many_dimensions, many_points = map(int, output.split())
    assert many_dimensions < 4 * 8_000 * 100 * 64 / 1.5  # no (N, k, D) float32
    assert many_points < 4 * 20_000 * 20_000 / 8  # no (N, N) float32


@pytest.mark.parametrize("dims", [4, 9, 32])
def test_no_estimate_is_off_by_more_than_its_bound(dims: int) -> None:
    points = torch.randn(1, 400, dims, generator=torch.Generator().manual_seed(dims))
    estimates, bound = _estimate(points, points)
    rows = points[0].numpy().astype(np.longdouble)
    exact = ((rows[:, None] - rows) ** 2).sum(axis=2)
    off = np.abs(estimates[0].numpy() - exact).max(axis=1)
    assert (off <= bound[0].numpy()).all()
    assert (bound < 1e-11).all()
