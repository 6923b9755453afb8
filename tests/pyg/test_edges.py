"""Edges like torch-cluster's: against its definitions word by word, and itself where it is here."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pcclust import pyg


def nearest_pairs(x, y, batch_x, batch_y, count, limit=math.inf, same=True):
    """Returns (row of y, row of x) in plain Python: all within the limit, the nearest first."""
    pairs = []
    for i, point in enumerate(y.tolist()):
        found = []
        for j, other in enumerate(x.tolist()):
            distance = math.dist(point, other)
            if batch_x[j] == batch_y[i] and distance <= limit and (same or i != j):
                found.append((distance, j))
        pairs += [(i, j) for _, j in sorted(found)[:count]]
    return pairs


def as_pairs(edges):
    assert edges.dtype == torch.int64
    assert edges.shape[0] == 2
    return list(zip(*edges.tolist(), strict=True))


@st.composite
def clouds(draw):
    """Points in general position, and the cloud of each; clouds may be empty, or of one point."""
    sizes = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4))
    dimension = draw(st.integers(1, 4))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 99)))
    points = torch.randn(sum(sizes), dimension, generator=generator, dtype=torch.float64)
    return points, torch.arange(len(sizes)).repeat_interleave(torch.tensor(sizes))


@given(clouds(), clouds(), st.integers(1, 6))
def test_knn(one, two, k):
    x, batch_x = one
    y, batch_y = two
    y = y[:, :1].expand(-1, x.shape[1]).contiguous()
    expected = nearest_pairs(x, y, batch_x, batch_y, k)
    assert as_pairs(pyg.knn(x, y, k, batch_x, batch_y)) == expected


@given(clouds(), st.integers(1, 6), st.floats(0, 3), st.booleans())
def test_radius(one, most, r, ignore):
    x, batch = one
    expected = nearest_pairs(x, x, batch, batch, most, r, not ignore)
    found = pyg.radius(x, x, r, batch, batch, most, ignore_same_index=ignore)
    assert as_pairs(found) == expected


@given(clouds(), st.integers(1, 6), st.booleans())
def test_graphs(one, k, loop):
    x, batch = one
    expected = nearest_pairs(x, x, batch, batch, k, same=loop)
    turned = [(j, i) for i, j in expected]
    assert as_pairs(pyg.knn_graph(x, k, batch, loop)) == turned
    assert as_pairs(pyg.knn_graph(x, k, batch, loop, flow="target_to_source")) == expected
    within = nearest_pairs(x, x, batch, batch, k, 1.0, same=loop)
    assert as_pairs(pyg.radius_graph(x, 1.0, batch, loop, k, "target_to_source")) == within
    assert as_pairs(pyg.radius_graph(x, 1.0, batch, loop, k)) == [(j, i) for i, j in within]


def test_duplicates_are_neighbours_of_each_other_and_never_of_themselves():
    x = torch.zeros(4, 3)
    expected = [(i, j) for i in range(4) for j in range(4) if i != j]
    assert as_pairs(pyg.knn_graph(x, 3, flow="target_to_source")) == expected
    # Each has two of the three others, those with the lower index.
    assert as_pairs(pyg.knn_graph(x, 2, flow="target_to_source"))[-2:] == [(3, 0), (3, 1)]


def test_nothing_there_gives_no_edges():
    nothing, x = torch.empty(0, 3), torch.rand(5, 3)
    for edges in (
        pyg.knn(nothing, x, 3),
        pyg.knn(x, nothing, 3),
        pyg.knn_graph(nothing, 3),
        pyg.knn_graph(x[:1], 3),
        pyg.radius_graph(nothing, 1.0),
        pyg.knn(x, x, 3, torch.zeros(5, dtype=torch.int64), torch.ones(5, dtype=torch.int64)),
    ):
        assert edges.shape == (2, 0)
        assert edges.dtype == torch.int64


def test_one_dimension_may_go_without_its_axis():
    x = torch.tensor([0.0, 1, 3])
    assert as_pairs(pyg.knn_graph(x, 1)) == [(1, 0), (0, 1), (1, 2)]


def test_cosine_compares_angles():
    x = torch.tensor([[1.0, 0], [0.9, 0.1], [1e20, 3e20], [-1e-20, 0]])
    edges = pyg.knn_graph(x, 1, cosine=True, flow="target_to_source")
    assert as_pairs(edges) == [(0, 1), (1, 0), (2, 1), (3, 2)]
    with pytest.raises(ValueError, match="x has a zero vector"):
        pyg.knn_graph(torch.zeros(3, 2), 1, cosine=True)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("k=0 must be at least 1", {"k": 0}),
        ("k must be an int", {"k": 2.0}),
        ("flow='back' is neither", {"flow": "back"}),
        ("batch_x must count clouds from 0 and be sorted", {"batch": torch.tensor([1, 0, 0])}),
        (r"batch_x must be \(3,\)", {"batch": torch.tensor([0, 0])}),
        ("batch_size=1, but the batches number 2", {"batch": [0, 0, 1], "batch_size": 1}),
        ("not finite", {"x": torch.full((3, 3), math.nan)}),
        ("x must be a floating tensor", {"x": torch.zeros(3, 3, dtype=torch.int64)}),
        ("x must be", {"x": torch.zeros(3, 3, 3)}),
    ],
)
def test_wrong_calls(message, arguments):
    arguments = {"x": torch.rand(3, 3), "k": 1} | arguments
    if isinstance(arguments.get("batch"), list):
        arguments["batch"] = torch.tensor(arguments["batch"])
    with pytest.raises((TypeError, ValueError), match=message):
        pyg.knn_graph(**arguments)
    with pytest.raises(ValueError, match="radius"):
        pyg.radius_graph(torch.rand(3, 3), -1.0)


def test_torch_cluster_has_the_same_edges():
    peer = pytest.importorskip("torch_cluster")
    x, y = torch.rand(300, 3), torch.rand(200, 3)
    batch_x, batch_y = torch.arange(300) // 100, torch.arange(200) // 50  # the last finds nothing
    found, theirs = (library.knn(x, y, 7, batch_x, batch_y) for library in (pyg, peer))
    assert as_pairs(found) == as_pairs(theirs)
    for call in (
        lambda library: library.radius(x, y, 0.3, batch_x, batch_y, 100),
        lambda library: library.knn_graph(x, 200, batch_x),
        lambda library: library.knn_graph(x, 7, batch_x, loop=True),
        lambda library: library.knn_graph(x, 7, batch_x, flow="target_to_source"),
        lambda library: library.radius_graph(x, 0.3, batch_x, max_num_neighbors=100),
        lambda library: library.radius_graph(x, 0.3, batch_x, True, 100, "target_to_source"),
    ):
        assert sorted(as_pairs(call(pyg))) == sorted(as_pairs(call(peer)))
