"""The CUDA kernels of `knn`, emulated, against the torch twin, bit for bit."""

import pytest
import torch

from tests.cuda.emulated_search import Tables, assert_knn, one_cloud, ragged, search_inputs
from tests.ops.sample_clouds import KINDS, sample_cloud

pytestmark = pytest.mark.emulated

FLOATS = (torch.float32, torch.float64)
WAYS = ("knn", "knn_grid")


@pytest.mark.parametrize("call", WAYS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_cloud(emulate, kind, call):
    for dtype, k in zip(FLOATS, (20, 7), strict=True):
        assert_knn(emulate, one_cloud(sample_cloud(kind, 50, dtype=dtype)), k, call=call)
    points = one_cloud(sample_cloud(kind, 300))
    assert_knn(emulate, points, 40, one_cloud(sample_cloud(kind, 6, seed=1)), call=call)
    assert_knn(emulate, points, 300, one_cloud(points.rows[:2]))


# Lists of one, two and eight registers, and beyond them the selection, which needs all its digits
# where distances are tied.
@pytest.mark.parametrize("k", [1, 31, 32, 33, 64, 65, 256, 257, 300])
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_k(emulate, dtype, k):
    for kind in ("normal", "lattice"):
        points = one_cloud(sample_cloud(kind, 300, dtype=dtype))
        queries = one_cloud(points.rows[[0, 17, 299]])
        for call in WAYS if k <= 256 else ("knn",):
            assert_knn(emulate, points, k, queries, call=call)


# As many points as a tile holds, one less and one more, in all layouts of tiles.
@pytest.mark.parametrize(
    ("dims", "counts"),
    [
        (1, (1, 64, 512)),
        (2, (63, 513)),
        (3, (65, 511, 1024, 1025)),
        (4, (255,)),
        (5, (256, 257)),
        (6, (64,)),
        (7, (2, 300)),
        (8, (513,)),
        (9, (63, 65)),
        (16, (64,)),
        (17, (129,)),
        (40, (100,)),
        (512, (70,)),
    ],
)
@pytest.mark.parametrize("dtype", FLOATS)
def test_dimensions_and_tiles(emulate, dtype, dims, counts):
    for count in counts:
        points = one_cloud(sample_cloud("normal", count, dims, dtype))
        queries = one_cloud(sample_cloud("normal", 3, dims, dtype, seed=1))
        for k in {1, min(count, 40)}:
            assert_knn(emulate, points, k, queries)
        if dims < 3:
            assert_knn(emulate, points, min(count, 12), queries, call="knn_grid")


@pytest.mark.parametrize("dims", [3, 5, 12])
def test_more_queries_than_a_block_takes(emulate, dims):
    points = one_cloud(sample_cloud("lattice", 67, dims))
    assert_knn(emulate, points, 9)
    assert_knn(emulate, points, 66, exclude_self=True)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("call", WAYS)
def test_ragged_batches(emulate, call, packed):
    points = ragged([33, 1, 40, 2, 70], 0 if packed else 5, 3, torch.float32)
    assert_knn(emulate, points, 12, call=call, packed=packed)
    assert_knn(emulate, points, 3, call=call, packed=packed, exclude_self=True)
    queries = ragged([3, 9, 1, 33, 2], 0 if packed else 2, 3, torch.float32, seed=9)
    assert_knn(emulate, points, 40, queries, call=call, packed=packed)


@pytest.mark.parametrize("call", WAYS)
def test_many_tiny_clouds(emulate, call):
    sizes = [1 + number * 7 % 5 for number in range(60)]
    assert_knn(emulate, ragged(sizes, 1, 3, torch.float64), 4, call=call)


def test_ragged_selection(emulate):
    points = ragged([260, 3], 4, 3, torch.float32)
    queries = ragged([1, 2], 1, 3, torch.float32, seed=5)
    for packed in (False, True):
        assert_knn(emulate, points, 259, queries, packed=packed)


def test_selection_without_the_query(emulate):
    points = one_cloud(sample_cloud("lattice", 33, 2, torch.float64))
    assert_knn(emulate, points, 257, exclude_self=True)
    assert_knn(emulate, points, 257)


# Beyond what the selection sorts in shared memory.
@pytest.mark.parametrize("kind", ["normal", "lattice", "all_equal"])
def test_large_k(emulate, kind):
    points = one_cloud(sample_cloud(kind, 2200))
    for k in (2048, 2049, 2200):
        assert_knn(emulate, points, k, one_cloud(points.rows[[7]]))


# Points, and how often a selection measures each of them, at most.
MEASURED = [
    ("normal", torch.float32, 3, 1500, 300, 1),
    ("lattice", torch.float64, 3, 1500, 300, 1),
    ("all_equal", torch.float32, 3, 700, 300, 1),
    ("normal", torch.float32, 7, 5633, 257, 3),
    ("normal", torch.float64, 3, 2817, 300, 3),
    ("all_equal", torch.float64, 3, 2817, 300, 9),
]


@pytest.mark.parametrize(("kind", "dtype", "dims", "count", "k", "times"), MEASURED)
def test_a_selection_measures_each_point_once_where_it_can(
    emulate, kind, dtype, dims, count, k, times
):
    points = one_cloud(sample_cloud(kind, count, dims, dtype))
    queries = one_cloud(points.rows[[0, count - 1]])
    assert_knn(emulate, points, k, queries, call="knn_counted")
    names = ("points", "starts", "sizes", "queries", "query_starts", "query_sizes")
    given = dict(zip(names, (*points, *queries), strict=True))
    measured = emulate("knn_counted", **given, k=k, packed=0, exclude_self=0)["measured"]
    assert 0 < int(measured) <= times * 2 * count


@pytest.mark.parametrize("call", WAYS)
def test_empty_inputs(emulate, call):
    nothing = Tables(torch.zeros(0, 3), *torch.zeros(2, 0, dtype=torch.int64))
    assert_knn(emulate, nothing, 2, call=call)
    only_padding = Tables(torch.zeros(5, 3), *torch.zeros(2, 0, dtype=torch.int64))
    assert_knn(emulate, only_padding, 2, call=call)


# The twin takes no cloud without points or queries, which Python refuses.
@pytest.mark.parametrize("k", [3, 300])
def test_an_empty_cloud_has_no_neighbours(emulate, k):
    points = ragged([4, 0, 5, 3], 1, 3, torch.float32)
    queries = ragged([2, 3, 1, 0], 0, 3, torch.float32, seed=3)
    names = ("points", "starts", "sizes", "queries", "query_starts", "query_sizes")
    given = dict(zip(names, (*points, *queries), strict=True))
    for call in WAYS if k == 3 else WAYS[:1]:
        found = emulate(call, **given, k=k, packed=0, exclude_self=0)
        assert (found["indices"][2:5] == -1).all()
        assert found["distances"][2:5].isinf().all()
        assert (found["indices"][:2, :3] >= 0).all()
        assert (found["indices"][5, :3] >= 0).all()


class TestGrid:
    """What only a grid can get wrong."""

    def test_operators_take_it_for_large_clouds(self, emulate):
        points = one_cloud(sample_cloud("normal", 4200))
        assert_knn(emulate, points, 5, one_cloud(sample_cloud("normal", 3, seed=1)))

    def test_queries_outside_of_it(self, emulate):
        points = one_cloud(sample_cloud("normal", 400))
        queries = torch.tensor([[50.0, 0, 0], [-9, -9, 1e20], [0, 3e38, -3e38], [2, 2, 2]])
        assert_knn(emulate, points, 1, one_cloud(queries), call="knn_grid")
        assert_knn(emulate, points, 50, one_cloud(queries), call="knn_grid")

    @pytest.mark.parametrize("dtype", FLOATS)
    def test_far_outliers(self, emulate, dtype):
        rows = sample_cloud("normal", 300, dtype=dtype)
        rows[5] = 1e6
        rows[100] = torch.tensor([-1e30, 0, 1e30])
        assert_knn(emulate, one_cloud(rows), 8, one_cloud(rows[[5, 7, 100]]), call="knn_grid")

    def test_a_plane_and_a_line(self, emulate):
        generator = torch.Generator().manual_seed(0)
        rows = torch.rand(900, 3, generator=generator)
        rows[:, 2] = 0.5
        queries = one_cloud(rows[::200])
        assert_knn(emulate, one_cloud(rows), 9, queries, call="knn_grid")
        rows[:, 1] = -3
        assert_knn(emulate, one_cloud(rows), 9, queries, call="knn_grid")

    def test_a_tight_cluster_in_one_cell(self, emulate):
        rows = sample_cloud("normal", 500)
        rows[:250] = rows[:250] * 1e-5 + 0.3
        assert_knn(emulate, one_cloud(rows), 4, one_cloud(rows[[1, 249, 260]]), call="knn_grid")

    # Cells of thousands of points: all copies of one, a cluster, and a cluster within a cluster.
    @pytest.mark.parametrize("dtype", FLOATS)
    @pytest.mark.parametrize("scales", [(0,), (1, 1e-6), (1, 1e-6, 1e-12)])
    def test_a_crowded_cell_is_not_measured_whole(self, emulate, scales, dtype):
        rows = sample_cloud("normal", 4200, dtype=dtype)
        for part, scale in zip(rows.chunk(len(scales)), scales, strict=True):
            part.mul_(scale)
        points, queries = one_cloud(rows), one_cloud(rows[5::250])
        found = emulate(
            "knn_counted", **search_inputs(points, queries), k=5, packed=0, exclude_self=0
        )
        assert int(found["measured"]) < 400 * len(queries.rows)
        assert_knn(emulate, points, 5, queries)
        assert_knn(emulate, points, 40, one_cloud(rows[[7, 4000]] + 1e-7))

    # Points on the borders of cells, whose rounding could hide a neighbour at the k-th distance.
    @pytest.mark.parametrize("scale", [1.0, 1 / 3, 1e-20, 7e15])
    def test_ties_across_cells(self, emulate, scale):
        side = torch.arange(8.0) * scale
        rows = torch.cartesian_prod(side, side, side)
        queries = one_cloud(rows[[0, 73, 219, 511]])
        for k in (1, 2, 7, 19, 33):
            assert_knn(emulate, one_cloud(rows), k, queries, call="knn_grid")

    def test_sums_of_many_tiles(self, emulate):
        sums = torch.randint(0, 1000, (600,), generator=torch.Generator().manual_seed(0)).int()
        expected = (torch.cumsum(sums, 0) - sums).int()
        assert torch.equal(emulate("begin_tiles", sums=sums)["begins"], expected)


# No call may read or write out of bounds, whatever its tables say; the sanitizers watch.
@pytest.mark.parametrize("call", WAYS)
def test_tables_that_lie(emulate, call):
    rows = sample_cloud("normal", 30)
    for starts, sizes in (([-5, 10], [10, 90]), ([25, 0], [5, 20]), ([99, 3], [1, -2])):
        emulate(
            call,
            points=rows,
            starts=torch.tensor(starts),
            sizes=torch.tensor(sizes),
            k=3,
            packed=0,
            exclude_self=1,
        )
