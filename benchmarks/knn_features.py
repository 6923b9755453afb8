"""k nearest neighbours among features of many dimensions."""

from functools import partial
from typing import Any

import torch
from numpy.typing import NDArray

from benchmarks import clouds
from benchmarks.knn import ours, plain_torch
from benchmarks.neighbors import Search, chosen_distances
from benchmarks.suite import Case, Entry, Goal, Suite, scaled
from benchmarks.timing import fastest
from benchmarks.workers import in_threads, one_by_one


def faiss(problem: Search, threads: int) -> Entry:
    """IndexFlatL2 of each cloud: the faster of threads over clouds and over queries."""
    from faiss import IndexFlatL2, omp_set_num_threads

    def search(cloud: NDArray[Any]) -> NDArray[Any]:
        index = IndexFlatL2(cloud.shape[1])
        index.add(cloud)
        indices: NDArray[Any] = index.search(cloud, problem.k)[1]
        return indices

    arrays = problem.arrays("float32")
    omp_set_num_threads(threads)
    single = partial(omp_set_num_threads, 1)
    detail, run = fastest(
        {
            "clouds in parallel": in_threads(search, arrays, threads, start=single),
            "queries in parallel": one_by_one(search, arrays),
        }
    )
    return Entry(run, partial(chosen_distances, problem), detail)


def scikit_learn(problem: Search, threads: int) -> Entry:
    """sklearn.neighbors.NearestNeighbors by brute force."""
    from sklearn.neighbors import NearestNeighbors

    def search(cloud: NDArray[Any]) -> NDArray[Any]:
        index = NearestNeighbors(n_neighbors=problem.k, algorithm="brute", n_jobs=threads)
        indices: NDArray[Any] = index.fit(cloud).kneighbors(cloud, return_distance=False)
        return indices

    return Entry(one_by_one(search, problem.arrays("float32")), partial(chosen_distances, problem))


def embedded(batch: int, size: int, dimensions: int, k: int, scale: float) -> Search:
    """Returns the search among clouds of features."""
    points = scaled(size, scale)
    each = [clouds.features(points, dimensions, seed) for seed in range(batch)]
    return Search(torch.stack(each), k)


GOAL = Goal(at_least=1.5, aim=2)
SUITE = Suite(
    title="k nearest neighbours among features",
    compared="squared distances of the neighbours",
    cases=(
        Case(partial(embedded, 16, 1024, 64, 20), GOAL),
        Case(partial(embedded, 16, 1024, 128, 20), GOAL),
    ),
    contestants={
        "pcclust": ours,
        "faiss": faiss,
        "scikit-learn": scikit_learn,
        "torch cdist + topk": plain_torch,
    },
    reference="scikit-learn",
)
