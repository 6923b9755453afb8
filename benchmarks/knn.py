"""k nearest neighbours of every point, in space."""

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
from benchmarks.suite import Case, Entry, Goal, Suite, scaled
from benchmarks.timing import fastest
from benchmarks.workers import in_processes, in_threads, one_by_one


def ours(problem: Search, threads: int) -> Entry:
    """pcclust.knn on the batch."""
    return Entry(
        lambda: pcclust.knn(problem.clouds, problem.k),
        lambda found: returned_distances(problem, found.distances),
    )


def pynanoflann(problem: Search, threads: int) -> Entry:
    """Nanoflann: the faster of threads over queries and of processes over clouds.

    Its own ``batched_kneighbors`` is left out: with two threads it touches Python objects from both
    at once and, as of 0.10.0, ends the process with a segmentation fault within seconds.
    """
    arrays = problem.arrays("float32")
    search = partial(search_nanoflann, k=problem.k, threads=threads)
    runs = {"queries in parallel": one_by_one(search, arrays)}
    if len(arrays) > 1:
        search = partial(search_nanoflann, k=problem.k, threads=1)
        runs[f"{threads} processes"] = in_processes(search, arrays, threads)
    detail, run = fastest(runs)
    in_process = detail == "queries in parallel"
    return Entry(run, partial(chosen_distances, problem), detail, in_process)


def search_nanoflann(cloud: NDArray[Any], k: int, threads: int) -> NDArray[Any]:
    """Returns the neighbours within one cloud."""
    from pynanoflann import KDTree

    tree = KDTree(n_neighbors=k)
    tree.fit(cloud)
    indices: NDArray[Any] = tree.kneighbors(cloud, n_jobs=threads)[1]
    return indices


def scipy(problem: Search, threads: int) -> Entry:
    """scipy.spatial.cKDTree, in float64: the faster of threads over clouds and over queries."""
    from scipy.spatial import cKDTree

    def search(cloud: NDArray[Any], workers: int) -> NDArray[Any]:
        indices: NDArray[Any] = cKDTree(cloud).query(cloud, problem.k, workers=workers)[1]
        return indices.reshape(len(cloud), problem.k)

    arrays = problem.arrays("float64")
    runs = {"queries in parallel": one_by_one(partial(search, workers=threads), arrays)}
    if len(arrays) > 1:
        clouds_first = in_threads(partial(search, workers=1), arrays, threads)
        runs = {"clouds in parallel": clouds_first, **runs}
    detail, run = fastest(runs)
    return Entry(run, partial(chosen_distances, problem), detail)


def small_gicp(problem: Search, threads: int) -> Entry:
    """small_gicp.KdTree, in float64: the faster of one and of all threads per cloud."""
    from small_gicp import KdTree

    def search(cloud: NDArray[Any], workers: int) -> NDArray[Any]:
        tree = KdTree(cloud, num_threads=workers)
        found: NDArray[Any] = tree.batch_knn_search(cloud, problem.k, num_threads=workers)[0]
        return found

    arrays = problem.arrays("float64")
    runs = {f"{n} threads": one_by_one(partial(search, workers=n), arrays) for n in (threads, 1)}
    detail, run = fastest(runs if len(arrays) > 1 else {"": runs[f"{threads} threads"]})
    return Entry(run, partial(chosen_distances, problem), detail)


def open3d(problem: Search, threads: int) -> Entry:
    """open3d.core.nns, whose threads share the queries of one cloud."""
    from open3d import core

    def search(cloud: Any) -> Any:  # noqa: ANN401
        tree = core.nns.NearestNeighborSearch(cloud)
        tree.knn_index()
        return tree.knn_search(cloud, problem.k)[0]

    tensors = [core.Tensor.from_numpy(array) for array in problem.arrays("float32")]
    return Entry(
        one_by_one(search, tensors),
        lambda found: chosen_distances(problem, [indices.numpy() for indices in found]),
    )


def torch_cluster(problem: Search, threads: int) -> Entry:
    """torch_cluster.knn: the faster of one packed batch and of clouds in threads."""
    from torch_cluster import knn

    rows, cloud_of_row = problem.packed()

    def packed() -> torch.Tensor:
        found: torch.Tensor = knn(rows, rows, problem.k, cloud_of_row, cloud_of_row)
        return found

    def read(found: torch.Tensor | list[torch.Tensor]) -> NDArray[Any]:
        size = problem.clouds.shape[1]
        if isinstance(found, list):
            found = torch.cat([edges + i * size for i, edges in enumerate(found)], dim=1)
        return chosen_distances(problem, edges_to_indices(problem, found))

    runs: dict[str, Any] = {"": packed}
    if len(problem.clouds) > 1:
        each = in_threads(lambda cloud: knn(cloud, cloud, problem.k), problem.clouds, threads)
        runs["clouds in parallel"] = each
    detail, run = fastest(runs)
    return Entry(run, read, detail)


def plain_torch(problem: Search, threads: int) -> Entry:
    """torch.cdist and topk."""
    problem.refuse_matrix()
    points = problem.clouds
    return Entry(
        lambda: torch.cdist(points, points).topk(problem.k, largest=False),
        lambda found: chosen_distances(problem, found.indices.numpy()),
    )


def objects(batch: int, size: int, k: int, scale: float) -> Search:
    """Returns the search among object-like clouds."""
    return Search(clouds.shapes(batch, size, scale), k)


def single(make: Any, size: int, k: int, scale: float) -> Search:  # noqa: ANN401
    """Returns the search in one cloud made by ``make(size)``."""
    return Search(make(scaled(size, scale))[None], k)


GOAL = Goal(at_least=3, aim=5)
SUITE = Suite(
    title="k nearest neighbours",
    compared="squared distances of the neighbours",
    cases=(
        Case(partial(objects, 32, 1024, 20), Goal(at_least=3, aim=6)),
        Case(partial(objects, 32, 2048, 32), Goal(at_least=3, aim=6)),
        Case(partial(objects, 4, 16_384, 16), GOAL),
        Case(partial(objects, 1, 100_000, 16), GOAL),
        Case(partial(single, clouds.uniform, 100_000, 16), note="uniform in a cube"),
        Case(partial(single, clouds.clustered, 100_000, 16), note="clusters of unlike density"),
        Case(partial(objects, 1, 1_000_000, 16), GOAL),
    ),
    contestants={
        "pcclust": ours,
        "pynanoflann": pynanoflann,
        "small_gicp": small_gicp,
        "open3d": open3d,
        "scipy": scipy,
        "torch-cluster": torch_cluster,
        "torch cdist + topk": plain_torch,
    },
    reference="scipy",
)
