"""Runs a neighbour search in the emulator and in the torch twin, and compares every bit."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.ops.ball_query import _ball_query_torch
from pcclust.ops.knn import _knn_torch
from tests.ops.sample_clouds import same_bits, sample_cloud

Emulate = Callable[..., dict[str, Tensor]]


class Tables(NamedTuple):
    """Rows of clouds and where each lies."""

    rows: Tensor
    starts: Tensor
    sizes: Tensor


def one_cloud(rows: Tensor) -> Tables:
    """Returns the tables of a cloud that holds all rows."""
    return Tables(rows, torch.zeros(1, dtype=torch.int64), torch.tensor([len(rows)]))


def ragged(sizes: list[int], gap: int, dims: int, dtype: torch.dtype, seed: int = 0) -> Tables:
    """Returns clouds of these sizes with ``gap`` rows of padding, all NaN, behind each."""
    counts = torch.tensor(sizes, dtype=torch.int64)
    starts = torch.cumsum(counts + gap, 0) - counts - gap
    rows = torch.full((int((counts + gap).sum()), dims), torch.nan, dtype=dtype)
    for number, (start, size) in enumerate(zip(starts.tolist(), sizes, strict=True)):
        rows[start : start + size] = sample_cloud("normal", size, dims, dtype, seed + number)
    return Tables(rows, starts, counts)


def assert_knn(
    emulate: Emulate,
    points: Tables,
    k: int,
    queries: Tables | None = None,
    *,
    call: str = "knn",
    packed: bool = False,
    exclude_self: bool = False,
) -> None:
    """Compares a kNN search with the twin."""
    found = emulate(
        call,
        **search_inputs(points, queries),
        k=k,
        packed=int(packed),
        exclude_self=int(exclude_self),
    )
    asked = (None, None, None) if queries is None else queries
    distances, indices = _knn_torch(*points, *asked, packed, k, exclude_self)
    assert same_bits(found["indices"], indices)
    assert same_bits(found["distances"], distances)


def assert_ball_query(
    emulate: Emulate,
    points: Tables,
    radius: float,
    k: int,
    queries: Tables | None = None,
    *,
    call: str = "ball_query",
    packed: bool = False,
    exclude_self: bool = False,
) -> None:
    """Compares a ball query with the twin."""
    inputs = search_inputs(points, queries)
    flags = {"packed": int(packed), "exclude_self": int(exclude_self)}
    found = emulate(call, **inputs, radius=float(radius), k=k, **flags)
    asked = (None, None, None) if queries is None else queries
    expected = _ball_query_torch(*points, *asked, packed, radius, k, exclude_self)
    assert same_bits(found["indices"], expected[1])
    assert same_bits(found["distances"], expected[0])
    assert same_bits(found["counts"], expected[2])


def search_inputs(points: Tables, queries: Tables | None) -> dict[str, Tensor]:
    """Returns the tensors of a search, by the names of its schema."""
    given = {"points": points.rows, "starts": points.starts, "sizes": points.sizes}
    if queries is not None:
        names = ("queries", "query_starts", "query_sizes")
        given |= dict(zip(names, queries, strict=True))
    return given
