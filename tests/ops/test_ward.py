"""`pcclust.ward_linkage` and `ward_labels` against SciPy, the definition, and each other."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_valid_linkage, linkage
from torch import Tensor

import pcclust
from pcclust import use_backend
from pcclust.ops._registry import why_missing
from tests.ops.sample_clouds import DTYPES, KINDS, same_bits, sample_cloud, working

pytestmark = pytest.mark.usefixtures("backend")
UNTIED = ("normal", "line", "plane", "far_away", "two_scales")


def scipy_linkage(points: np.ndarray) -> np.ndarray:
    return linkage(points.astype(np.float64), "ward")


def merge_cost(points: np.ndarray, left: list[int], right: list[int]) -> float:
    """Returns the growth of the sum of squares, from its definition."""

    def squares(members: list[int]) -> float:
        cluster = points[members]
        return float(((cluster - cluster.mean(axis=0)) ** 2).sum())

    return squares(left + right) - squares(left) - squares(right)


def assert_greedy(points: np.ndarray, rows: np.ndarray) -> None:
    """Asserts that every merge is one of the cheapest then possible, and is described rightly."""
    points = points.astype(np.longdouble)
    clusters = {i: [i] for i in range(len(points))}
    scale = max(float(((points - points.mean(axis=0)) ** 2).sum()), 1e-300)
    for t, (a, b, height, size) in enumerate(rows):
        pairs = combinations(clusters.values(), 2)
        costs = [merge_cost(points, left, right) for left, right in pairs]
        merged = clusters[int(a)] + clusters[int(b)]
        assert a < b
        assert size == len(merged)
        cost = merge_cost(points, clusters[int(a)], clusters[int(b)])
        assert math.isclose(height**2 / 2, cost, rel_tol=1e-9, abs_tol=1e-14 * scale)
        assert cost <= min(costs) * (1 + 1e-9) + 1e-14 * scale
        del clusters[int(a)], clusters[int(b)]
        clusters[len(points) + t] = merged


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", UNTIED)
def test_equals_scipy(kind: str, dtype: torch.dtype) -> None:
    if kind == "far_away" and dtype != torch.float64:
        pytest.skip("rounded to a grid, where ties may be decided either way")
    for count in (2, 3, 17, 150):
        points = sample_cloud(kind, count, dtype=dtype)
        found, expected = pcclust.ward_linkage(points), scipy_linkage(working(points))
        np.testing.assert_allclose(
            found[:, 2], expected[:, 2], rtol=1e-9, atol=1e-12 * expected.max()
        )
        if len(np.unique(working(points), axis=0)) == count and dtype == torch.float64:
            assert (found[:, [0, 1, 3]].numpy() == expected[:, [0, 1, 3]]).all()


@pytest.mark.parametrize("dims", [1, 2, 4, 9, 64])
def test_equals_scipy_in_any_dimension(dims: int) -> None:
    points = sample_cloud("normal", 120, dims, torch.float64)
    found, expected = pcclust.ward_linkage(points), scipy_linkage(points.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("huge", "denormal")])
def test_every_merge_is_the_cheapest(kind: str) -> None:
    points = sample_cloud(kind, 24)
    assert_greedy(points.numpy(), pcclust.ward_linkage(points).numpy())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("power", [-900, -120, 120, 900])
def test_scale_is_a_factor(dtype: torch.dtype, power: int) -> None:
    if dtype == torch.float32:
        power //= 9
    points = sample_cloud("normal", 60, dtype=dtype)
    plain, scaled = pcclust.ward_linkage(points), pcclust.ward_linkage(points * 2.0**power)
    plain[:, 2] *= 2.0**power
    assert same_bits(scaled, plain)


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    dims=st.integers(1, 6),
    sizes=st.lists(st.integers(1, 50), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_ragged_clouds_are_as_each_alone(
    kind: str, dtype: torch.dtype, dims: int, sizes: list[int], seed: int
) -> None:
    clouds = [sample_cloud(kind, n, dims, dtype, seed + i) for i, n in enumerate(sizes)]
    alone = [pcclust.ward_linkage(cloud) for cloud in clouds]
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    assert same_bits(pcclust.ward_linkage(torch.cat(clouds), offsets=offsets), torch.cat(alone))
    padded = torch.nn.utils.rnn.pad_sequence(clouds, batch_first=True, padding_value=torch.nan)
    found = pcclust.ward_linkage(padded, lengths=torch.tensor(sizes))
    for rows, expected, n in zip(found, alone, sizes, strict=True):
        assert same_bits(rows[: n - 1], expected)
        assert (rows[n - 1 :] == torch.tensor([-1, -1, torch.inf, 0])).all()
        assert n < 2 or is_valid_linkage(expected.numpy())


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    dims=st.integers(1, 5),
    count=st.integers(1, 120),
    seed=st.integers(0, 99),
)
def test_backends_agree_bit_for_bit(
    kind: str, dtype: torch.dtype, dims: int, count: int, seed: int
) -> None:
    if why_missing("cpu") is not None:
        pytest.skip("one backend only")
    points = sample_cloud(kind, count, dims, dtype, seed)
    levels = sorted({1, count, 1 + seed % count})
    with use_backend("torch"):
        rows, labels = pcclust.ward_linkage(points), pcclust.ward_labels(points, levels)
    with use_backend("cpu"):
        assert same_bits(pcclust.ward_linkage(points), rows)
        assert same_bits(pcclust.ward_labels(points, levels), labels)


def test_labels_are_the_cut_of_the_tree() -> None:
    points = sample_cloud("normal", 90)
    levels = [1, 2, 7, 40, 90]
    labels = pcclust.ward_labels(points, levels)
    rows = scipy_linkage(points.numpy())
    for level, found in zip(levels, labels, strict=True):
        expected = fcluster(rows, level, "maxclust")
        assert len(set(zip(expected.tolist(), found.tolist(), strict=True))) == level
        first = [found.tolist().index(label) for label in range(level)]
        assert first == sorted(first)
        assert found.max() == level - 1
    assert same_bits(pcclust.ward_labels(points, 7), labels[2])


def test_label_layouts() -> None:
    clouds = torch.stack([sample_cloud(kind, 30) for kind in ("normal", "lattice", "duplicates")])
    alone = torch.stack([pcclust.ward_labels(cloud, [2, 9]) for cloud in clouds])
    assert same_bits(pcclust.ward_labels(clouds, [2, 9]), alone)
    assert same_bits(pcclust.ward_labels(clouds, 9), alone[:, 1])
    packed = pcclust.ward_labels(clouds.flatten(0, 1), (2, 9), offsets=torch.arange(4) * 30)
    assert same_bits(packed, torch.cat(list(alone), dim=1))
    padded = torch.nn.functional.pad(clouds, (0, 0, 0, 4), value=torch.nan)
    found = pcclust.ward_labels(padded, [2, 9], lengths=torch.full((3,), 30))
    assert same_bits(found[:, :, :30], alone)
    assert (found[:, :, 30:] == -1).all()
    assert isinstance(pcclust.ward_labels(clouds.numpy(), 2), np.ndarray)


def test_large_clouds_and_many_equal_points(backend: str) -> None:
    if backend == "torch":
        pytest.skip("for the kernels: the twin's time is quadratic")
    points = sample_cloud("normal", 3000, dtype=torch.float64)
    np.testing.assert_allclose(
        pcclust.ward_linkage(points)[:, 2], scipy_linkage(points.numpy())[:, 2], rtol=1e-9
    )
    equal = pcclust.ward_linkage(torch.ones(100_000, 3))
    assert (equal[:, 2] == 0).all()
    assert equal[-1, 3] == 100_000
    sizes = torch.arange(3000) % 5 + 1
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    rows = pcclust.ward_linkage(points[:1].expand(int(offsets[-1]), 3), offsets=offsets)
    assert len(rows) == int(offsets[-1]) - 3000


def test_threads_do_not_change_a_bit() -> None:
    big, many = sample_cloud("lattice", 300), sample_cloud("duplicates", 640).view(16, 40, 3)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append([pcclust.ward_linkage(c) for c in (big, many)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("clusters", [0, 11, [3, 11], []])
def test_wrong_counts_are_named(clusters: int | list[int]) -> None:
    with pytest.raises(ValueError, match="num_clusters"):
        pcclust.ward_labels(torch.rand(10, 3), clusters)


def test_wrong_points_are_named() -> None:
    points = torch.rand(10, 3)
    points[4, 1] = torch.nan
    with pytest.raises(ValueError, match=r"points\[4\] is not finite"):
        pcclust.ward_linkage(points)
    with pytest.raises(TypeError, match="num_clusters must be an int"):
        pcclust.ward_labels(torch.rand(10, 3), 2.5)


def test_operators_refuse_what_is_out_of_bounds(backend: str) -> None:
    if backend == "torch":
        pytest.skip("the twin is bounded by torch's own indexing")
    points, long = torch.rand(10, 3), torch.tensor
    for starts, sizes in (([0], [11]), ([-1], [5]), ([0, 3], [5, 5]), ([0, 5], [5, 0])):
        with pytest.raises(RuntimeError):
            torch.ops.pcclust.ward_linkage(points, long(starts), long(sizes))
    with pytest.raises(RuntimeError, match="NaN or inf"):
        torch.ops.pcclust.ward_linkage(points * torch.nan, long([0]), long([10]))
    rows = pcclust.ward_linkage(points)
    for bad in (rows + 20, -rows, rows * torch.nan):
        with pytest.raises(RuntimeError):
            torch.ops.pcclust.ward_cut(bad, long([0]), long([10]), [2])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compilers() -> None:
    points = sample_cloud("normal", 60).view(3, 20, 3)
    rows, starts, sizes = points.view(-1, 3), torch.arange(3) * 20, torch.full((3,), 20)
    torch.library.opcheck(torch.ops.pcclust.ward_linkage, (rows, starts, sizes))
    merges = torch.ops.pcclust.ward_linkage(rows, starts, sizes)
    torch.library.opcheck(torch.ops.pcclust.ward_cut, (merges, starts, sizes, [2, 5]))
    expected = pcclust.ward_labels(points, [2, 5])
    compiled = torch.compile(pcclust.ward_labels, fullgraph=True, backend="aot_eager")
    assert same_bits(compiled(points, [2, 5]), expected)

    class Labels(torch.nn.Module):
        def forward(self, points: Tensor) -> Tensor:
            return pcclust.ward_labels(points, [2, 5])

    shapes = {"points": {0: torch.export.Dim("B", min=2), 1: torch.export.Dim("N", min=5)}}
    exported = torch.export.export(Labels(), (points,), dynamic_shapes=shapes)
    found = exported.module()(points[:2, :11])
    assert same_bits(found, pcclust.ward_labels(points[:2, :11], [2, 5]))
