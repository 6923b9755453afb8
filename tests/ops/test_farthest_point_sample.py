"""`pcclust.farthest_point_sample` against its definition, on every backend and layout."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pcclust
from tests.ops.reference_neighbors import shift_to_one, squared_distances
from tests.ops.sample_clouds import DTYPES, KINDS, same_bits, sample_cloud, working

pytestmark = pytest.mark.usefixtures("backend")


def farthest_points(points: np.ndarray, count: int, start: int = 0) -> np.ndarray:
    """Chooses the point farthest from all chosen ones, the first of equals, none twice."""
    chosen = [start]
    points = np.ldexp(points, shift_to_one(points, points))
    nearest = squared_distances(points[start], points).tolist()
    while len(chosen) < count:
        free = [i for i in range(len(points)) if i not in chosen]
        best = max(free, key=lambda i: (nearest[i], -i))
        chosen.append(best)
        to_best = squared_distances(points[best], points).tolist()
        nearest = [min(pair) for pair in zip(nearest, to_best, strict=True)]
    return np.array(chosen)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_follows_the_definition(kind: str, dtype: torch.dtype) -> None:
    points = sample_cloud(kind, 60, dtype=dtype)
    for count, start in ((1, 0), (17, 59), (60, 3)):
        expected = farthest_points(working(points), count, start)
        assert same_bits(pcclust.farthest_point_sample(points, count, start=start), expected)


@given(
    kind=st.sampled_from(KINDS),
    dims=st.integers(1, 9),
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    wish=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_any_packed_clouds(kind: str, dims: int, sizes: list[int], wish: int, seed: int) -> None:
    clouds = [sample_cloud(kind, n, dims, seed=seed + i) for i, n in enumerate(sizes)]
    rng, count = np.random.default_rng(seed), min(wish, *sizes)
    starts = torch.tensor([int(rng.integers(n)) for n in sizes])
    offsets = torch.tensor([0, *np.cumsum(sizes)])
    found = pcclust.farthest_point_sample(torch.cat(clouds), count, start=starts, offsets=offsets)
    for row, cloud, start, first in zip(found, clouds, starts, offsets, strict=False):
        assert same_bits(row, farthest_points(working(cloud), count, int(start)) + int(first))


def test_all_layouts_agree() -> None:
    clouds = torch.stack([sample_cloud(kind, 40) for kind in ("normal", "lattice", "all_equal")])
    alone = torch.stack([pcclust.farthest_point_sample(cloud, 12) for cloud in clouds])
    padded = torch.nn.functional.pad(clouds, (0, 0, 0, 5), value=torch.nan)
    first = torch.arange(3) * 40
    offsets = torch.arange(4) * 40
    assert same_bits(pcclust.farthest_point_sample(clouds, 12), alone)
    lengths = torch.full((3,), 40)
    assert same_bits(pcclust.farthest_point_sample(padded, 12, lengths=lengths), alone)
    packed = pcclust.farthest_point_sample(clouds.flatten(0, 1), 12, offsets=offsets)
    assert same_bits(packed, alone + first[:, None])
    mapped = torch.vmap(lambda p: pcclust.farthest_point_sample(p, 12))(clouds)
    assert same_bits(mapped, alone)
    strided = torch.cat([clouds, clouds], dim=-1)[..., 3:]
    assert same_bits(pcclust.farthest_point_sample(strided, 12), alone)
    assert pcclust.farthest_point_sample(clouds[:0], 12).shape == (0, 12)


def test_a_generator_draws_the_start() -> None:
    points = sample_cloud("normal", 60).view(3, 20, 3)
    lengths = torch.tensor([20, 1, 9])

    def draw(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return pcclust.farthest_point_sample(
            points, 1, start=None, generator=generator, lengths=lengths
        )

    drawn = torch.cat([draw(seed) for seed in range(300)], dim=1)
    assert same_bits(draw(7), draw(7))
    for cloud, length in enumerate(lengths.tolist()):
        assert set(drawn[cloud].tolist()) == set(range(length))


def test_large_cloud_and_real_shapes(modelnet40: np.ndarray) -> None:
    for points in (sample_cloud("lattice", 4000).numpy(), modelnet40[5], modelnet40[150]):
        nearest, chosen = np.full(len(points), np.inf, np.float32), [0]
        for _ in range(255):
            nearest = np.minimum(nearest, squared_distances(points[chosen[-1]], points))
            nearest[chosen] = -1
            chosen.append(int(nearest.argmax()))
        assert pcclust.farthest_point_sample(points, 256).tolist() == chosen


def test_samples_compile_into_one_graph() -> None:
    def sample(points: torch.Tensor) -> torch.Tensor:
        return pcclust.farthest_point_sample(points, 4)

    torch._dynamo.reset()
    compiled = torch.compile(sample, fullgraph=True, dynamic=True, backend="aot_eager")
    for clouds in (
        sample_cloud("normal", 40).view(2, 20, 3),
        sample_cloud("line", 30).view(5, 6, 3),
    ):
        assert same_bits(compiled(clouds), sample(clouds))


BATCH = sample_cloud("normal", 24).view(4, 6, 3)


@pytest.mark.parametrize(
    ("count", "options", "error", "message"),
    [
        (7, {}, ValueError, "num_samples=7 exceeds the 6 points of cloud 0"),
        (
            4,
            {"lengths": torch.tensor([6, 6, 3, 6])},
            ValueError,
            "num_samples=4 exceeds the 3 points of cloud 2",
        ),
        (0, {}, ValueError, "num_samples=0 must be at least 1"),
        (2.0, {}, TypeError, "num_samples must be an int, got float"),
        (2, {"start": 6}, ValueError, "start=6 is not a point of cloud 0, which has 6"),
        (2, {"start": -1}, ValueError, "start=-1 is not a point of cloud 0"),
        (2, {"start": torch.tensor([0, 1, 2, 9])}, ValueError, "start=9 is not a point of cloud 3"),
        (
            2,
            {"start": torch.tensor([0, 1])},
            ValueError,
            "one for each of the 4 clouds, got shape (2,)",
        ),
        (
            2,
            {"start": torch.tensor([0.0] * 4)},
            TypeError,
            "start must hold integers, got torch.float32",
        ),
        (2, {"start": 1.5}, TypeError, "start must be an int, a tensor or None, got float"),
        (2, {"start": None}, ValueError, "start=None needs a generator"),
        (
            2,
            {"generator": torch.Generator()},
            ValueError,
            "a generator draws the first points only with start=None",
        ),
    ],
)
def test_wrong_input_is_refused(count, options, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        pcclust.farthest_point_sample(BATCH, count, **options)


def test_points_that_are_not_finite_are_refused() -> None:
    points = BATCH.clone()
    points[1, 4, 2] = torch.nan
    with pytest.raises(ValueError, match=r"points\[1, 4\] is not finite"):
        pcclust.farthest_point_sample(points, 2)


def test_equal_points_are_all_chosen_once() -> None:
    found = pcclust.farthest_point_sample(torch.ones(3000, 3), 3000, start=7)
    assert found.tolist() == [7, *range(7), *range(8, 3000)]


def test_threads_do_not_change_an_index() -> None:
    big, many = sample_cloud("lattice", 9000), sample_cloud("duplicates", 3200).view(64, 50, 3)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found.append([pcclust.farthest_point_sample(c, 40) for c in (big, many)])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(same_bits(a, b) for a, b in zip(found[0], other, strict=True))


def test_operator_itself_refuses_what_is_out_of_bounds(backend: str) -> None:
    if backend == "torch":
        pytest.skip("the twin is bounded by torch's own indexing")
    points, long = torch.rand(10, 3), torch.tensor
    for starts, sizes, first, samples in (
        ([0], [11], [0], 2),
        ([-1], [5], [0], 2),
        ([0], [10], [10], 2),
        ([0], [10], [0], 11),
        ([0, 5], [5, 5], [0], 2),
    ):
        with pytest.raises(RuntimeError):
            torch.ops.pcclust.farthest_point_sample(
                points, long(starts), long(sizes), long(first), False, samples
            )


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_operator_is_well_made_and_exports() -> None:
    rows, table = BATCH.view(-1, 3), (torch.arange(4) * 6, torch.full((4,), 6))
    arguments = (rows, *table, torch.zeros(4).long(), False, 3)
    torch.library.opcheck(torch.ops.pcclust.farthest_point_sample, arguments)

    class Sampler(torch.nn.Module):
        def forward(self, points: torch.Tensor) -> torch.Tensor:
            return pcclust.farthest_point_sample(points, 4)

    shapes = {"points": {0: torch.export.Dim("B", min=2), 1: torch.export.Dim("N", min=4)}}
    exported = torch.export.export(Sampler(), (BATCH,), dynamic_shapes=shapes).module()
    assert same_bits(exported(BATCH[:2, :5]), pcclust.farthest_point_sample(BATCH[:2, :5], 4))


@pytest.mark.parametrize("operator", ["farthest_point_sample", "farthest_point_sample_torch"])
def test_padding_before_the_first_cloud_may_be_nan(operator):
    line = torch.tensor([[0.0], [1.0], [5.0], [9.0]])
    points = torch.cat([torch.full((1, 1), torch.nan), line, line[:3]])
    starts, sizes, first = torch.tensor([1, 5]), torch.tensor([4, 3]), torch.tensor([0, 1])
    found = getattr(torch.ops.pcclust, operator)(points, starts, sizes, first, False, 3)
    assert found.tolist() == [[0, 3, 2], [1, 2, 0]]
