"""Any tensors of a schema's types give a right answer or a RuntimeError, on every backend.

The calls are those of `make fuzz`, which tries many more of them, also under sanitizers.
"""

from typing import Any

import pytest
import torch

import pcclust
from pcclust.ops._registry import declared, why_missing
from tests.fuzz.calls import OPERATORS, Draw, right_call, wrong_call
from tests.fuzz.judge import judge, outcome

EMPTY = torch.tensor([0, 5, 5, 10]), torch.tensor([5, 0, 5, 5])


@pytest.fixture
def native() -> None:
    if why_missing("cpu") is not None:
        pytest.skip("no native library")


def test_every_operator_is_tried() -> None:
    assert set(OPERATORS) == set(declared())


def test_right_calls_are_answered_alike_on_every_backend(native: None) -> None:
    for seed in range(150):
        call = right_call(Draw(seed))
        assert judge(call) is None, f"seed {seed}: {call[0]}"
        assert not isinstance(outcome(*call), Exception), f"seed {seed}: {call[0]}"


@pytest.mark.filterwarnings("ignore:Casting complex values")
def test_wrong_calls_are_refused_alike_on_every_backend(native: None) -> None:
    for seed in range(300):
        call = wrong_call(Draw(seed))
        assert judge(call) is None, f"seed {seed}: {call[0]}"


@pytest.mark.parametrize("queries", [False, True])
def test_an_empty_cloud_among_others_has_no_neighbours(backend: str, queries: bool) -> None:
    points = torch.randn(15, 3, generator=torch.Generator().manual_seed(0))
    asked = (torch.randn(8, 3), torch.arange(0, 8, 2), torch.full((4,), 2))
    name = "knn" if backend == "cpu" else "knn_torch"
    knn = getattr(torch.ops.pcclust, name)
    given = asked if queries else (None, None, None)
    distances, indices = knn(points, *EMPTY, *given, False, 2, False)
    if queries:
        assert (indices[2:4] == -1).all()
        assert (distances[2:4] == torch.inf).all()
    for cloud in (0, 2, 3):
        rows = slice(EMPTY[0][cloud], EMPTY[0][cloud] + 5)
        own = slice(2 * cloud, 2 * cloud + 2) if queries else rows
        around = asked[0][own] if queries else None
        expected = pcclust.knn(points[rows], 2, queries=around)
        assert torch.equal(indices[own], expected.indices)


def test_an_empty_cloud_in_a_compiled_graph(backend: str) -> None:
    """Four clouds of five points of which the second is empty: shapes known only at run time."""

    def both(points: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ball = pcclust.ball_query(points, 1.0, 3, lengths=lengths)
        samples = pcclust.farthest_point_sample(points, 2, lengths=lengths)
        return *pcclust.knn(points, 1, lengths=lengths), *ball, samples

    points = torch.randn(4, 5, 3, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(both, fullgraph=True, backend="eager")
    found = compiled(points, torch.tensor([5, 0, 5, 5]))
    full = both(points, torch.tensor([5, 5, 5, 5]))
    for one, other in zip(found, full, strict=True):
        assert torch.equal(one[[0, 2, 3]], other[[0, 2, 3]])
    distances, indices, _, near, counts, samples = (result[1] for result in found)
    assert (distances == torch.inf).all()
    assert (indices == -1).all()
    assert (near == -1).all()
    assert (counts == 0).all()
    assert (samples == -1).all()


def test_tables_that_overlap_or_run_backwards_are_refused(backend: str) -> None:
    points = torch.randn(10, 3)
    suffix = "" if backend == "cpu" else "_torch"
    rest = (None, None, None, False, 1, False)
    for starts, sizes in (
        ([0, 3], [5, 5]),
        ([5, 0], [5, 5]),
        ([0, 2**63 - 1], [1, 2]),
        ([-1], [3]),
    ):
        with pytest.raises(RuntimeError, match="behind the cloud before it"):
            getattr(torch.ops.pcclust, f"knn{suffix}")(
                points, torch.tensor(starts), torch.tensor(sizes), *rest
            )


def test_a_meta_tensor_among_others_is_refused() -> None:
    starts, sizes = torch.tensor([0]), torch.tensor([10])
    for points, table in ((torch.randn(10, 3), "meta"), (torch.randn(10, 3, device="meta"), "cpu")):
        with pytest.raises(RuntimeError, match="several devices"):
            torch.ops.pcclust.rri(points, starts.to(table), sizes, None, 3)


def test_an_index_of_other_clouds_is_refused(native: None) -> None:
    points, ops = torch.randn(10, 3), torch.ops.pcclust
    index = ops.index_build(points, torch.tensor([0, 5]), torch.tensor([5, 5]))
    search = (index, points, torch.tensor([0, 5]), torch.tensor([5, 5]), False, torch.inf, 1, False)
    assert len(ops.index_search(points, torch.tensor([0, 5]), torch.tensor([5, 5]), *search)) == 3
    for starts, sizes in (([0, 6], [5, 4]), ([0, 5], [4, 5])):
        with pytest.raises(RuntimeError, match="index was not built from these points"):
            ops.index_search(points, torch.tensor(starts), torch.tensor(sizes), *search)


def test_too_few_dimensions_are_a_runtime_error() -> None:
    part, weight, bias = torch.tensor(1.0), torch.ones(2, 1), torch.ones(2)
    with pytest.raises(RuntimeError, match="dimension"):
        torch.ops.pcclust.row_layer_torch([part], weight, bias, 0.0, False)
    with pytest.raises(RuntimeError, match="dimension"):
        torch.ops.pcclust.row_moments(torch.ones(3, device="meta"))
    with pytest.raises(RuntimeError, match="several devices"):
        torch.ops.pcclust.row_layer([torch.ones(3, 1, device="meta")], weight, bias, 0.0, False)


@pytest.mark.parametrize("name", ["knn", "ball_query", "index_search"])
def test_tables_of_no_queries_are_refused(backend: str, name: str) -> None:
    function = getattr(torch.ops.pcclust, name if backend == "cpu" else f"{name}_torch")
    names = [argument.name for argument in function.default._schema.arguments]
    build = torch.ops.pcclust.index_build
    points, starts, sizes = torch.randn(10, 3), torch.tensor([0]), torch.tensor([10])
    clouds: list[Any] = [points, starts, sizes]
    index = [build(*clouds)] if name == "index_search" else []
    rest = [1.0, 2, False] if "radius" in names else [2, False]
    arguments = [*clouds, *index, None, None, None, False, *rest]
    function(*arguments)
    arguments[names.index("query_starts")] = starts
    with pytest.raises(RuntimeError, match="starts and sizes need their queries"):
        function(*arguments)


def test_a_slope_that_is_no_number_is_refused_by_every_operator(backend: str) -> None:
    suffix = "" if backend == "cpu" else "_torch"
    tried = 0
    for name in sorted(OPERATORS):
        function = getattr(torch.ops.pcclust, f"{name}{suffix}")
        names = [argument.name for argument in function.default._schema.arguments]
        for slope in (torch.inf, torch.nan, -0.1, 1e300) if "slope" in names else ():
            arguments = right_call(Draw(0), name)[1]
            arguments[names.index("slope")] = slope
            with pytest.raises(RuntimeError, match="slope must be finite and not negative"):
                function(*arguments)
            tried += 1
    assert tried == 4 * 14
