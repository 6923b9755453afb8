"""`pcclust.knn` against its definition, on every backend, dtype, layout and kind of cloud."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

import pcclust
from tests.ops import reference_neighbors as reference
from tests.ops.sample_clouds import DTYPES, KINDS, same_bits, sample_cloud, working

pytestmark = pytest.mark.usefixtures("backend")


def assert_knn(points: Tensor, k: int, queries: Tensor | None = None, **options: bool) -> None:
    """Compares one cloud with the definition, bit for bit."""
    found = pcclust.knn(points, k, queries=queries, **options)
    asked = None if queries is None else working(queries)
    distances, indices = reference.knn(working(points), k, asked, **options)
    assert same_bits(found.indices, indices)
    assert same_bits(found.distances, distances)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_follows_the_definition(kind: str, dtype: torch.dtype) -> None:
    points = sample_cloud(kind, 70, dtype=dtype)
    for k in (1, 20, 70):
        assert_knn(points, k)
    for k in (7, 69):
        assert_knn(points, k, exclude_self=True)
    assert_knn(points, 9, queries=sample_cloud(kind, 20, dtype=dtype, seed=1))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dims", [1, 2, 4, 5, 8])
def test_follows_the_definition_up_to_eight_dimensions(kind: str, dims: int) -> None:
    for dtype in (torch.float32, torch.float64):
        points = sample_cloud(kind, 40, dims, dtype)
        assert_knn(points, 12)
        assert_knn(points, 39, exclude_self=True)
        assert_knn(points, 5, queries=sample_cloud(kind, 9, dims, dtype, seed=1))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("huge", "denormal")])
@pytest.mark.parametrize("dims", [9, 16, 64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_dimensions_are_right_to_rounding(kind: str, dims: int, dtype: torch.dtype) -> None:
    points, k = sample_cloud(kind, 80, dims, dtype), 11
    for exclude_self in (False, True):
        distances, indices = pcclust.knn(points, k, exclude_self=exclude_self)
        wide = points.numpy().astype(np.longdouble)
        exact = ((wide[:, None] - wide[None]) ** 2).sum(-1)
        rounding = 4 * dims * torch.finfo(dtype).eps
        claimed = np.take_along_axis(exact, indices.numpy(), axis=1)
        np.testing.assert_allclose(distances.numpy(), claimed.astype(float), rtol=rounding)
        if exclude_self:
            np.fill_diagonal(exact, np.inf)
        best = np.sort(exact, axis=1)[:, :k]
        np.testing.assert_allclose(claimed.astype(float), best.astype(float), rtol=rounding)
        assert all(len(set(row)) == k for row in indices.tolist())
        assert not (exclude_self and (indices == torch.arange(80)[:, None]).any())


@pytest.mark.parametrize("kind", ["lattice", "duplicates", "all_equal", "huge"])
def test_many_dimensions_break_ties_as_few_do(kind: str) -> None:
    for k in (1, 20, 79):
        assert_knn(sample_cloud(kind, 80, 16), k, exclude_self=True)


@pytest.mark.parametrize("size", [1, 16, 17, 33, 48, 49, 1030])  # panels abreast, and what is left
def test_many_dimensions_of_any_number_of_points(size: int) -> None:
    points, queries = sample_cloud("lattice", size, 16), sample_cloud("lattice", 9, 16, seed=1)
    for k in {1, min(size, 20), min(size, 60)}:
        assert_knn(points, k, queries=queries)
    some = pcclust.knn(points, min(size, 20))
    around = pcclust.knn(points, min(size, 20), queries=points[-40:])
    assert all(same_bits(a[-40:], b) for a, b in zip(some, around, strict=True))


@pytest.mark.parametrize("kind", ["huge", "denormal"])
def test_many_dimensions_survive_overflow_and_underflow(kind: str) -> None:
    for dtype in (torch.float32, torch.float64):
        distances, indices = pcclust.knn(sample_cloud(kind, 60, 12, dtype), 60)
        assert (indices.sort().values == torch.arange(60)).all()
        assert not distances.isnan().any()
        assert (distances.diff() >= 0)[distances[:, 1:].isfinite()].all()


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    dims=st.integers(1, 8),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5),
    wish=st.integers(1, 40),
    exclude_self=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_packed_clouds(
    kind: str,
    dtype: torch.dtype,
    dims: int,
    sizes: list[int],
    wish: int,
    exclude_self: bool,
    seed: int,
) -> None:
    sizes = [size + exclude_self for size in sizes]
    clouds = [sample_cloud(kind, n, dims, dtype, seed + i) for i, n in enumerate(sizes)]
    k = min(wish, min(sizes) - exclude_self)
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    found = pcclust.knn(torch.cat(clouds), k, offsets=offsets, exclude_self=exclude_self)
    expected = [reference.knn(working(c), k, exclude_self=exclude_self) for c in clouds]
    first = offsets[:-1].tolist()
    assert same_bits(found.distances, np.concatenate([d for d, _ in expected]))
    assert same_bits(
        found.indices, np.concatenate([i + f for (_, i), f in zip(expected, first, strict=True)])
    )


@given(
    kind=st.sampled_from(KINDS),
    batch=st.integers(0, 4),
    count=st.integers(1, 40),
    asked=st.integers(1, 20),
    seed=st.integers(0, 99),
)
def test_any_padded_batch_with_queries(
    kind: str, batch: int, count: int, asked: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    lengths = torch.from_numpy(rng.integers(1, count + 1, batch))
    query_lengths = torch.from_numpy(rng.integers(1, asked + 1, batch))
    points, queries = (
        torch.full((batch, count, 3), torch.nan),
        torch.full((batch, asked, 3), np.inf),
    )
    for b in range(batch):
        points[b, : lengths[b]] = sample_cloud(kind, int(lengths[b]), seed=seed + b)
        queries[b, : query_lengths[b]] = sample_cloud(
            kind, int(query_lengths[b]), seed=seed + b + 9
        )
    k = int(lengths.min()) if batch else 1
    found = pcclust.knn(points, k, queries=queries, lengths=lengths, query_lengths=query_lengths)
    assert found.indices.shape == (batch, asked, k)
    for b, (n, m) in enumerate(zip(lengths, query_lengths, strict=True)):
        distances, indices = reference.knn(points[b, :n].numpy(), k, queries[b, :m].numpy())
        assert same_bits(found.distances[b, :m], distances)
        assert same_bits(found.indices[b, :m], indices)
        assert (found.indices[b, m:] == -1).all()
        assert found.distances[b, m:].isposinf().all()


def test_all_layouts_agree() -> None:
    clouds = torch.stack([sample_cloud(kind, 50) for kind in ("normal", "lattice", "duplicates")])
    alone = [pcclust.knn(cloud, 8) for cloud in clouds]
    dense = pcclust.knn(clouds, 8)
    padded = pcclust.knn(
        torch.nn.functional.pad(clouds, (0, 0, 0, 7), value=torch.nan),
        8,
        lengths=torch.full((3,), 50),
    )
    offsets = torch.arange(4, dtype=torch.int32) * 50
    packed = pcclust.knn(clouds.flatten(0, 1), 8, offsets=offsets)
    for b, (distances, indices) in enumerate(alone):
        assert same_bits(dense.indices[b], indices)
        assert same_bits(padded.indices[b, :50], indices)
        assert same_bits(packed.indices[50 * b : 50 * b + 50], indices + 50 * b)
        for found in (dense.distances[b], padded.distances[b, :50]):
            assert same_bits(found, distances)
        assert same_bits(packed.distances[50 * b : 50 * b + 50], distances)


def test_packed_points_take_padded_queries() -> None:
    points, queries = sample_cloud("lattice", 30), sample_cloud("normal", 8).view(2, 4, 3)
    found = pcclust.knn(points, 3, offsets=torch.tensor([0, 10, 30]), queries=queries)
    first = pcclust.knn(points[:10], 3, queries=queries[0])
    second = pcclust.knn(points[10:], 3, queries=queries[1])
    assert same_bits(found.indices, torch.stack([first.indices, second.indices + 10]))


@pytest.mark.parametrize(
    "view",
    [
        lambda p: p.repeat_interleave(2, 0)[::2],
        lambda p: p.T.contiguous().T,
        lambda p: torch.cat([p, p], dim=1)[:, 3:],
        lambda p: p[:1].expand(60, 3),
        lambda p: torch.empty(60, 9)[:, ::3].copy_(p),
        lambda p: torch._neg_view(-p),
    ],
    ids=["rows", "columns", "inner", "expanded", "strided", "negated"],
)
def test_memory_layout_does_not_matter(view) -> None:
    points = view(sample_cloud("lattice", 60))
    plain = points.clone(memory_format=torch.contiguous_format)
    found, expected = pcclust.knn(points, 9), pcclust.knn(plain, 9)
    assert same_bits(found.indices, expected.indices)
    assert same_bits(found.distances, expected.distances)
    assert same_bits(pcclust.knn(plain, 9, queries=points).indices, expected.indices)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["normal", "lattice", "two_scales", "far_away"])
def test_large_clouds(kind: str, dtype: torch.dtype) -> None:
    points = sample_cloud(kind, 3000, dtype=dtype)
    some = torch.arange(0, 3000, 131)
    for k in (3, 40, 150):
        found = pcclust.knn(points, k)
        distances, indices = reference.knn(points.numpy(), k, points[some].numpy())
        assert same_bits(found.indices[some], indices)
        assert same_bits(found.distances[some], distances)


def test_thousands_of_tiny_clouds() -> None:
    sizes = torch.arange(3000) % 7 + 1
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), sizes.cumsum(0)])
    points = sample_cloud("lattice", int(offsets[-1]))
    found = pcclust.knn(points, 1, offsets=offsets)
    for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        distances, indices = reference.knn(points[start:end].numpy(), 1)
        assert found.indices[start:end].tolist() == (indices + start).tolist()
        assert found.distances[start:end].tolist() == distances.tolist()


def test_threads_do_not_change_a_bit() -> None:
    big, many = sample_cloud("lattice", 2500), sample_cloud("duplicates", 3200).view(64, 50, 3)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append([*pcclust.knn(big, 12), *pcclust.knn(many, 12)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))


def test_real_shapes(modelnet40: np.ndarray) -> None:
    points = torch.from_numpy(modelnet40[::40])
    found = pcclust.knn(points, 20)
    for b, cloud in enumerate(points.numpy()):
        distances, indices = reference.knn(cloud, 20, cloud[::64])
        assert same_bits(found.indices[b, ::64], indices)
        assert same_bits(found.distances[b, ::64], distances)
