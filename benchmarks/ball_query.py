"""The nearest neighbours within a radius, 32 at most."""

from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray

import pcclust
from benchmarks import clouds
from benchmarks.neighbors import (
    Search,
    chosen_distances,
    edges_to_indices,
    returned_distances,
)
from benchmarks.suite import Case, Entry, Goal, Suite
from benchmarks.timing import fastest
from benchmarks.workers import in_threads, one_by_one

MAX_NEIGHBORS = 32


def ours(problem: Search, threads: int) -> Entry:
    """pcclust.ball_query on the batch."""
    return Entry(
        lambda: pcclust.ball_query(problem.clouds, problem.radius, problem.k),
        lambda ball: returned_distances(problem, ball.distances),
    )


def open3d(problem: Search, threads: int) -> Entry:
    """open3d.core.nns: hybrid search, whose threads share the queries of one cloud."""
    from open3d import core

    def search(cloud: Any) -> Any:  # noqa: ANN401
        tree = core.nns.NearestNeighborSearch(cloud)
        tree.hybrid_index(problem.radius)
        return tree.hybrid_search(cloud, problem.radius, problem.k)[0]

    tensors = [core.Tensor.from_numpy(array) for array in problem.arrays("float32")]
    return Entry(
        one_by_one(search, tensors),
        lambda found: chosen_distances(problem, [indices.numpy() for indices in found]),
    )


def scipy(problem: Search, threads: int) -> Entry:
    """scipy.spatial.cKDTree with an upper bound, in float64."""
    from scipy.spatial import cKDTree

    def search(cloud: NDArray[Any], workers: int) -> NDArray[Any]:
        bound = problem.radius
        found = cKDTree(cloud).query(cloud, problem.k, distance_upper_bound=bound, workers=workers)
        indices: NDArray[Any] = found[1]
        return indices

    arrays = problem.arrays("float64")
    runs = {"queries in parallel": one_by_one(partial(search, workers=threads), arrays)}
    if len(arrays) > 1:
        clouds_first = in_threads(partial(search, workers=1), arrays, threads)
        runs = {"clouds in parallel": clouds_first, **runs}
    detail, run = fastest(runs)
    return Entry(run, partial(chosen_distances, problem), detail)


def torch_cluster(problem: Search, threads: int) -> Entry:
    """torch_cluster.radius, which takes the first neighbours found, not the nearest."""
    from torch_cluster import radius

    rows, cloud_of_row = problem.packed()
    search = partial(
        radius, rows, rows, problem.radius, cloud_of_row, cloud_of_row, problem.k, threads
    )
    return Entry(search, lambda edges: chosen_distances(problem, edges_to_indices(problem, edges)))


def plain_torch(problem: Search, threads: int) -> Entry:
    """torch.cdist, topk and a mask."""
    problem.refuse_matrix()
    points, k = problem.clouds, min(problem.k, problem.clouds.shape[1])

    def search() -> torch.Tensor:
        distances, indices = torch.cdist(points, points).topk(k, largest=False)
        return indices.masked_fill(distances > problem.radius, -1)

    return Entry(search, lambda indices: chosen_distances(problem, indices.numpy()))


def balls(batch: int, size: int, radius: float, scale: float) -> Search:
    """Returns the search among object-like clouds."""
    return Search(clouds.shapes(batch, size, scale), MAX_NEIGHBORS, radius)


GOAL = Goal(at_least=2, aim=4)
SUITE = Suite(
    title="Ball query, 32 neighbours at most",
    compared="squared distances of the neighbours",
    cases=(
        Case(partial(balls, 32, 1024, 0.2), GOAL),
        Case(partial(balls, 8, 4096, 0.1), GOAL),
        Case(partial(balls, 1, 100_000, 0.02), GOAL),
    ),
    contestants={
        "pcclust": ours,
        "open3d": open3d,
        "scipy": scipy,
        "torch-cluster": torch_cluster,
        "torch cdist + topk": plain_torch,
    },
    reference="scipy",
)
