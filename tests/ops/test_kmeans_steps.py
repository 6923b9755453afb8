"""The operators of k-means: nearest center, greedy seeding, sums of clusters; on each backend."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pcclust
from pcclust.ops._registry import native
from pcclust.ops.kmeans_assign import kmeans_assign
from pcclust.ops.kmeans_plusplus import kmeans_plusplus
from pcclust.ops.kmeans_update import _sums_by_row, _sums_of_segments, kmeans_update
from tests.cluster import reference_kmeans as reference

DTYPES = [torch.float32, torch.float64]


def lattice(seed, count, dims, dtype, span=3):
    """Points with whole coordinates: every distance is exact, and ties abound."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-span, span + 1, (count, dims), generator=generator).to(dtype)


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 120),
    dims=st.integers(1, 40),
    clusters=st.integers(1, 30),
    dtype=st.sampled_from(DTYPES),
    guessed=st.booleans(),
)
def test_kmeans_assign_of_lattices_is_the_first_of_the_nearest(
    backend, seed, count, dims, clusters, dtype, guessed
):
    points, centers = lattice(seed, count, dims, dtype), lattice(seed + 1, clusters, dims, dtype)
    guess = torch.arange(count) % clusters if guessed else None
    labels, distances = kmeans_assign(points, centers, points[0], guess)
    expected, expected_distances = reference.nearest(points.tolist(), centers.tolist())
    assert labels.tolist() == expected.tolist()
    assert distances.tolist() == expected_distances.tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("scale", [1e-42, 1e-25, 1.0, 1e15])
@pytest.mark.parametrize("offset", [0.0, 1e3])
def test_kmeans_assign_at_any_scale(backend, dtype, scale, offset):
    generator = torch.Generator().manual_seed(3)
    points = (torch.randn((500, 70), generator=generator, dtype=dtype) + offset) * scale
    centers = (torch.randn((37, 70), generator=generator, dtype=dtype) * 0.3 + offset) * scale
    labels, distances = kmeans_assign(points, centers, points[0])
    table = torch.cdist(points.double() / scale, centers.double() / scale).square()
    best = table.min(dim=1).values
    # Products round relative to the squared norms after the shift, squares below 1e-38 underflow.
    slack = 1e-3 if dtype == torch.float32 else 1e-11
    if scale**2 > 1e-38 or dtype == torch.float64:
        assert (table[torch.arange(500), labels] - best <= slack).all()
        assert torch.allclose(distances.double() / scale**2, best, rtol=1e-4, atol=slack)


def test_kmeans_assign_with_a_cluster_far_away(backend):
    generator = torch.Generator().manual_seed(5)
    points = torch.randn((600, 24), generator=generator)
    points[:50] += 1e6
    centers = torch.cat([points[:2], points[100:120]])
    labels, _ = kmeans_assign(points, centers, points[::7].median(dim=0).values)
    table = torch.cdist(points.double(), centers.double()).square()
    near = slice(50, None)
    assert (labels[near] == table[near].argmin(dim=1)).float().mean() > 0.999
    assert (labels[:50] < 2).all()


@given(
    seed=st.integers(0, 10**6),
    count=st.integers(1, 70),
    dims=st.integers(1, 20),
    steps=st.integers(1, 12),
    trials=st.integers(1, 11),
    dtype=st.sampled_from(DTYPES),
    weighted=st.booleans(),
)
def test_seeds_are_those_of_the_definition(
    backend, seed, count, dims, steps, trials, dtype, weighted
):
    points = lattice(seed, count, dims, dtype, span=1)
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(0, 4, (count,), generator=generator).to(dtype) if weighted else None
    uniforms = torch.rand((steps, trials), generator=generator, dtype=torch.float64)
    first = seed % count
    start = (points - points[first]).square().sum(dim=1)
    zeros = torch.zeros(count, dtype=torch.int64)
    chosen, labels, distances = kmeans_plusplus(
        points, weights, points[0], uniforms, 1, zeros, start
    )
    plain = [1.0] * count if weights is None else weights.tolist()
    expected = reference.greedy_seeds(points.tolist(), plain, uniforms.tolist(), first)
    assert [first, *chosen.tolist()] == expected
    _, nearest = reference.nearest(points.tolist(), points[expected].tolist())
    assert distances.tolist() == nearest.tolist()
    at_label = (points - points[torch.tensor(expected)[labels]]).square().sum(dim=1)
    assert torch.equal(at_label, distances)


@pytest.mark.parametrize("outside", [-0.25, 1.0])
def test_draws_outside_of_the_distribution_are_refused(backend, outside):
    points, uniforms = lattice(0, 6, 2, torch.float32), torch.full((1, 2), outside).double()
    state = (torch.zeros(6, dtype=torch.int64), points.square().sum(dim=1))
    with pytest.raises(RuntimeError, match=r"uniforms must lie in \[0, 1\)"):
        kmeans_plusplus(points, None, points[0], uniforms, 1, *state)


def test_seeds_do_not_depend_on_how_steps_are_grouped(backend):
    generator = torch.Generator().manual_seed(0)
    points = torch.randn((1500, 33), generator=generator)
    uniforms = torch.rand((40, 5), generator=generator, dtype=torch.float64)
    zeros = torch.zeros(1500, dtype=torch.int64)
    state = (zeros, (points - points[7]).square().sum(dim=1))
    whole, *ended = kmeans_plusplus(points, None, points[0], uniforms, 1, *state)
    parts = []
    for first in range(0, 40, 16):
        some = uniforms[first : first + 16]
        chosen, *state = kmeans_plusplus(points, None, points[0], some, 1 + first, *state)
        parts.append(chosen)
    assert torch.equal(torch.cat(parts), whole)
    assert all(torch.equal(a, b) for a, b in zip(state, ended, strict=True))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dims", [1, 64, 131])
def test_sums_of_clusters(backend, dtype, weighted, dims):
    generator = torch.Generator().manual_seed(1)
    points = torch.randn((500, dims), generator=generator, dtype=dtype)
    weights = torch.rand(500, generator=generator, dtype=dtype) if weighted else None
    labels = torch.randint(0, 20, (500,), generator=generator)
    labels[labels == 7] = 8
    sums, masses = kmeans_update(points, weights, labels, 20)
    for cluster in range(20):
        members = [i for i in range(500) if labels[i] == cluster]
        w = [1.0 if weights is None else float(weights[i]) for i in members]
        assert float(masses[cluster]) == pytest.approx(sum(w), abs=1e-12)
        total = np.zeros(dims)
        for i, weight in zip(members, w, strict=True):
            total += weight * points[i].double().numpy()
        np.testing.assert_allclose(sums[cluster].numpy(), total, rtol=1e-6, atol=1e-5)


def test_sums_of_the_gpu_path_equal_those_of_the_cpu_path():
    generator = torch.Generator().manual_seed(2)
    points = torch.randn((300, 17), generator=generator)
    labels = torch.randint(0, 9, (300,), generator=generator) * 2
    weights = torch.rand(300, generator=generator)
    for weight in (None, weights):
        expected = _sums_by_row(points, weight, labels, 20)
        torch.testing.assert_close(_sums_of_segments(points, weight, labels, 20), expected)


def test_threads_do_not_change_bits(backend):
    generator = torch.Generator().manual_seed(4)
    points = torch.randn((3000, 50), generator=generator)
    uniforms = torch.rand((30, 5), generator=generator, dtype=torch.float64)
    results = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            zeros, start = torch.zeros(3000, dtype=torch.int64), points.square().sum(dim=1)
            _, labels, _ = kmeans_plusplus(points, None, points[0], uniforms, 1, zeros, start)
            results.append((labels, *kmeans_update(points, None, labels, 31)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.skipif(native is None, reason="the native library was not built")
def test_every_instruction_set_gives_the_same_bits():
    script = """
import hashlib, torch
from pcclust.ops._registry import use_backend
from pcclust.ops.kmeans_assign import kmeans_assign
g = torch.Generator().manual_seed(0)
points = torch.randn((700, 77), generator=g)
with use_backend("cpu"):
    found = kmeans_assign(points, points[:45] * 0.2, points[0])
print(hashlib.sha256(b"".join(t.numpy().tobytes() for t in found)).hexdigest())
"""
    root = str(Path(__file__).parents[2])
    digests = set()
    for isa in ("baseline", "avx2", "avx512", ""):  # the last is the best there is
        environment = {**os.environ, "PYTHONPATH": root} | ({"PCCLUST_ISA": isa} if isa else {})
        run = [sys.executable, "-c", script]
        here = Path(pcclust.__file__).parents[1]  # this very build
        done = subprocess.run(
            run, cwd=here, env=environment, capture_output=True, text=True, check=True
        )
        digests.add(done.stdout)
    assert len(digests) == 1


@pytest.mark.skipif(native is None, reason="the native library was not built")
def test_the_native_operators_refuse_what_does_not_fit():
    points, label = torch.zeros((3, 2)), torch.tensor([0, 1, 5])
    with pytest.raises(RuntimeError, match="label 5 of point 2 is none of the 2 clusters"):
        torch.ops.pcclust.kmeans_update(points, None, label, 2)
    with pytest.raises(RuntimeError, match="label 5 of point 2"):
        torch.ops.pcclust.kmeans_assign(points, points[:2], points[0], label)
    with pytest.raises(RuntimeError, match="shift must be 2"):
        torch.ops.pcclust.kmeans_assign(points, points[:2], points[:, 0], None)
    with pytest.raises(RuntimeError, match="differ in dimensions or dtype"):
        torch.ops.pcclust.kmeans_assign(points, points.double(), points[0], None)
    uniforms = torch.zeros((1, 33), dtype=torch.float64)
    with pytest.raises(RuntimeError, match="1 to 32 trials"):
        torch.ops.pcclust.kmeans_plusplus(
            points, None, points[0], uniforms, 1, label * 0, points[:, 0].contiguous()
        )


def test_operators_pass_opcheck():
    points, labels = torch.randn((20, 6)), torch.arange(20) % 3
    checks = ("test_schema", "test_faketensor")
    ops = torch.ops.pcclust
    arguments = (points, points[:3].clone(), points[0].clone(), None)
    torch.library.opcheck(ops.kmeans_assign.default, arguments, test_utils=checks)
    torch.library.opcheck(ops.kmeans_update.default, (points, None, labels, 3), test_utils=checks)
    uniforms = torch.rand((2, 3), dtype=torch.float64)
    arguments = (points, None, points[0].clone(), uniforms, 1, labels * 0, torch.rand(20))
    torch.library.opcheck(ops.kmeans_plusplus.default, arguments, test_utils=checks)
