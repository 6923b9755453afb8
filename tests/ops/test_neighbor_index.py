"""An index answers as the functions do, however often and from whatever it is asked."""

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pcclust
from pcclust.ops._registry import call, why_missing
from tests.ops import reference_neighbors
from tests.ops.sample_clouds import DTYPES, KINDS, same_bits, sample_cloud, working

LAYOUTS: dict[str, dict[str, Any]] = {
    "dense": {},
    "padded": {"lengths": torch.tensor([30, 7])},
    "packed": {"offsets": torch.tensor([0, 11, 60])},
}


def in_layout(layout: str, points: torch.Tensor) -> torch.Tensor:
    return points if layout == "packed" else points.view(2, 30, -1)


@given(
    kind=st.sampled_from(KINDS),
    dtype=st.sampled_from(DTYPES),
    count=st.integers(1, 90),
    dims=st.integers(1, 5),
    k=st.integers(1, 90),
    seed=st.integers(0, 3),
)
def test_finds_what_the_definition_says(
    backend: str, kind: str, dtype: torch.dtype, count: int, dims: int, k: int, seed: int
) -> None:
    points, k = sample_cloud(kind, count, dims, dtype, seed), min(k, count)
    # Those far beyond any other queries are refused with them.
    queries = sample_cloud("huge" if kind == "huge" else "normal", 9, dims, dtype, seed + 1)
    index = pcclust.NeighborIndex(points)
    for asked in (None, queries):
        distances, indices = index.knn(k, queries=asked)
        source = None if asked is None else working(asked)
        expected = reference_neighbors.knn(working(points), k, source)
        assert same_bits(distances, expected[0])
        assert indices.tolist() == expected[1].tolist()


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_answers_as_the_functions_do(backend: str, layout: str, dtype: torch.dtype) -> None:
    points = in_layout(layout, sample_cloud("duplicates", 60, dtype=dtype))
    queries = in_layout(layout, sample_cloud("normal", 60, dtype=dtype, seed=1))
    shape = LAYOUTS[layout]
    index = pcclust.NeighborIndex(points, **shape)
    around = {f"query_{name}": value for name, value in shape.items()} | {"queries": queries}
    for _ in range(2):  # an index is asked more than once
        for own in ({}, {"exclude_self": True}, around):
            assert_same(index.knn(5, **own), pcclust.knn(points, 5, **shape, **own))
            ball = pcclust.ball_query(points, 0.5, 70, **shape, **own)
            assert_same(index.ball_query(0.5, 70, **own), ball)


def assert_same(found: tuple[torch.Tensor, ...], expected: tuple[torch.Tensor, ...]) -> None:
    assert type(found) is type(expected)
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_a_ball_holds_what_the_definition_says(backend: str) -> None:
    points = sample_cloud("lattice", 64)
    found = pcclust.NeighborIndex(points).ball_query(0.25, 9, exclude_self=True)
    expected = reference_neighbors.ball_query(working(points), 0.25, 9, exclude_self=True)
    assert found.indices.tolist() == expected[1].tolist()
    assert found.counts.tolist() == expected[2].tolist()


def test_numpy_in_numpy_out(backend: str) -> None:
    points = sample_cloud("normal", 50).numpy()
    index = pcclust.NeighborIndex(points)
    found = index.knn(3, queries=points[:4])
    assert all(isinstance(array, np.ndarray) for array in found)
    assert (found.indices == pcclust.knn(points, 3, queries=points[:4]).indices).all()


def test_queries_at_the_origin_are_asked_of_the_index(
    backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    points = torch.randn(2, 300, 3, generator=torch.Generator().manual_seed(0))
    queries = torch.zeros(2, 2, 3)
    queries[1, 1] = 1e-30
    expected = pcclust.knn(points, 5, queries=queries)
    index = pcclust.NeighborIndex(points)
    if backend == "cpu":
        monkeypatch.delattr("pcclust.ops.neighbor_index.ball_search")
    found = index.knn(5, queries=queries)
    assert torch.equal(found.indices, expected.indices)
    assert torch.equal(found.distances, expected.distances)


def test_keeps_what_it_was_built_from(backend: str) -> None:
    """What becomes of the caller's array later is no matter to the index."""
    points = sample_cloud("normal", 50)
    before = pcclust.knn(points, 4)
    index = pcclust.NeighborIndex(points)
    points.zero_()
    assert_same(index.knn(4), before)


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda index: pickle.loads(pickle.dumps(index)),
    "deepcopy": copy.deepcopy,
    "copy": copy.copy,
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_answers_as_the_index(backend: str, way: str) -> None:
    points = sample_cloud("normal", 60).numpy()
    index = pcclust.NeighborIndex(points, offsets=np.array([0, 11, 60]))
    again = COPIES[way](index)
    for found, expected in zip(again.knn(4), index.knn(4), strict=True):
        assert isinstance(found, np.ndarray)
        assert (found == expected).all()


def test_joblib_keeps_it(tmp_path: Path) -> None:
    joblib = pytest.importorskip("joblib")
    index = pcclust.NeighborIndex(sample_cloud("normal", 50).numpy())
    joblib.dump(index, tmp_path / "index")
    assert answer(joblib.load(tmp_path / "index")) == answer(index)


def answer(index: pcclust.NeighborIndex) -> list[list[int]]:
    return index.knn(3).indices.tolist()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_answer_as_the_index(method: str) -> None:
    index = pcclust.NeighborIndex(sample_cloud("normal", 50))
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as workers:
        assert workers.submit(answer, index).result() == answer(index)


def test_an_index_of_one_backend_is_opened_on_another() -> None:
    points = sample_cloud("normal", 50)
    with pcclust.use_backend("torch"):
        saved = pickle.dumps(pcclust.NeighborIndex(points))
    assert answer(pickle.loads(saved)) == pcclust.knn(points, 3).indices.tolist()


def test_other_bytes_are_no_index(backend: str) -> None:
    points = sample_cloud("normal", 40)
    starts, sizes = torch.tensor([0]), torch.tensor([40])
    rest = (None, None, None, False, torch.inf, 3, False)
    index = call("index_build", points, starts, sizes)
    search = partial(call, "index_search", points, starts, sizes)
    assert torch.equal(search(index, *rest)[1], pcclust.knn(points, 3).indices)
    for other in (index[:-1], torch.zeros_like(index[:5]), index.view(torch.int8)):
        with pytest.raises(RuntimeError, match=r"index (was not built|must be)"):
            search(other, *rest)


def test_an_index_need_not_lie_aligned() -> None:
    if why_missing("cpu") is not None:
        pytest.skip("no native library")
    points = sample_cloud("normal", 300)
    starts, sizes = torch.tensor([0]), torch.tensor([300])
    index = call("index_build", points, starts, sizes)
    moved = torch.cat([index.new_zeros(1), index])[1:]
    arguments = (None, None, None, False, torch.inf, 3, False)
    found = torch.ops.pcclust.index_search(points, starts, sizes, moved, *arguments)
    assert torch.equal(found[1], pcclust.knn(points, 3).indices)


def test_distances_have_gradients(backend: str) -> None:
    points = sample_cloud("normal", 12, dtype=torch.float64).requires_grad_()
    queries = sample_cloud("normal", 5, dtype=torch.float64, seed=1).requires_grad_()

    def distances(points: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        return pcclust.NeighborIndex(points).knn(3, queries=queries).distances

    assert torch.autograd.gradcheck(distances, (points, queries))
    assert torch.autograd.gradgradcheck(distances, (points, queries))


@pytest.mark.parametrize(
    ("message", "asked"),
    [
        ("k=51 exceeds the 50 points of cloud 0", {"k": 51}),
        ("k=50 exceeds the 49 other points of cloud 0", {"k": 50, "exclude_self": True}),
        ("k=0 must be at least 1", {"k": 0}),
        ("queries have 2 dimensions, points have 3", {"k": 1, "queries": torch.rand(4, 2)}),
        (
            r"queries\[2\] is not finite",
            {"k": 1, "queries": torch.tensor([[0.0] * 3] * 2 + [[torch.nan] * 3])},
        ),
        ("exclude_self needs", {"k": 1, "queries": torch.rand(4, 3), "exclude_self": True}),
    ],
)
def test_refuses_what_the_functions_refuse(message: str, asked: dict[str, Any]) -> None:
    index = pcclust.NeighborIndex(sample_cloud("normal", 50))
    with pytest.raises(ValueError, match=message):
        index.knn(**asked)


def test_refuses_what_it_cannot_be_built_from_or_asked() -> None:
    with pytest.raises(ValueError, match=r"points\[1\] is not finite"):
        pcclust.NeighborIndex(np.array([[0.0, 0, 0], [np.inf, 0, 0]]))
    with pytest.raises(TypeError, match=r"got torch\.int64"):
        pcclust.NeighborIndex(torch.zeros(3, 3, dtype=torch.int64))
    index = pcclust.NeighborIndex(torch.rand(5, 3))
    with pytest.raises(TypeError, match="queries are ndarray, the index holds tensors"):
        index.knn(1, queries=np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="radius=-1"):
        index.ball_query(-1.0, 3)
