"""k-means on features, 20 iterations."""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import pcclust
from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Suite, scaled

ITERATIONS = 20
CHUNK = 4096  # features whose distances to all centres are held at once


class Grouping(NamedTuple):
    """Divide ``(N, D)`` features into ``k`` clusters.

    Attributes:
        features: ``(N, D)``.
        k: the number of clusters.
        from_first: whether everybody starts from the first ``k`` features instead of their own.
    """

    features: Tensor
    k: int
    from_first: bool = False

    @property
    def start(self) -> Tensor | None:
        """The ``(k, D)`` centers to start from, or None where each contestant finds its own."""
        return self.features[: self.k].clone() if self.from_first else None

    def __str__(self) -> str:
        """Names the sizes."""
        size, dimensions = self.features.shape
        return f"N={size:,}, D={dimensions}, k={self.k:,}"


def inertia(problem: Grouping, centers: NDArray[Any]) -> Answer:
    """Returns the sum of squared distances of the features to their nearest centres."""
    centers = centers.astype(np.float64)
    norms, total = (centers**2).sum(axis=1), 0.0
    for first in range(0, len(problem.features), CHUNK):
        rows = problem.features[first : first + CHUNK].double().numpy()
        nearest = (norms - 2 * rows @ centers.T).min(axis=1)
        total += float(nearest.sum() + (rows**2).sum())
    return np.array([total])


def ours(problem: Grouping, threads: int) -> Entry:
    """pcclust.KMeans, k-means++ included unless the problem says where to start."""
    init = "k-means++" if problem.start is None else problem.start
    estimator = pcclust.KMeans(
        problem.k, init=init, max_iter=ITERATIONS, tol=0.0, n_init=1, random_state=0
    )
    return Entry(
        lambda: estimator.fit(problem.features).cluster_centers_,
        lambda centers: inertia(problem, centers.numpy()),
    )


def faiss(problem: Grouping, threads: int, *, plus_plus: bool = False) -> Entry:
    """faiss.Kmeans on all features, from centres given, taken at random or by k-means++."""
    import faiss as package

    package.omp_set_num_threads(threads)
    rows = np.ascontiguousarray(problem.features.numpy())
    start = None if problem.start is None else problem.start.numpy()
    settings: dict[str, Any] = {
        "niter": ITERATIONS,
        "seed": 0,
        "max_points_per_centroid": len(rows),  # no subsampling
        "min_points_per_centroid": 1,  # no warning
    }
    if plus_plus:
        settings["init_method"] = package.ClusteringInitMethod_KMEANS_PLUS_PLUS

    def fit() -> Any:  # noqa: ANN401
        estimator = package.Kmeans(rows.shape[1], problem.k, **settings)
        estimator.train(rows, init_centroids=start)
        return estimator.centroids

    return Entry(fit, partial(inertia, problem))


def scikit_learn(problem: Grouping, threads: int) -> Entry:
    """sklearn.cluster.KMeans, k-means++ included unless the problem says where to start."""
    from sklearn.cluster import KMeans

    init = "k-means++" if problem.start is None else problem.start.numpy()
    estimator = KMeans(problem.k, init=init, max_iter=ITERATIONS, tol=0.0, n_init=1, random_state=0)
    rows = problem.features.numpy()
    return Entry(
        lambda: estimator.fit(rows).cluster_centers_,
        partial(inertia, problem),
    )


def excess(answer: Answer, reference: Answer) -> float:
    """Returns by what fraction an inertia exceeds the reference's; negative where it is better."""
    return float(answer[0] / reference[0]) - 1


def grouping(size: int, dimensions: int, k: int, scale: float) -> Grouping:
    """Returns the clustering of features like those of a network."""
    clusters = scaled(k, scale, at_least=8)
    size = scaled(size, scale, at_least=4 * clusters)
    return Grouping(clouds.features(size, dimensions), clusters)


# faiss's speed ±20 %, though it starts from random centres and we from k-means++.
GOAL = Goal(at_least=1 / 1.2, against="faiss, random start")
SUITE = Suite(
    title=f"k-means, {ITERATIONS} iterations",
    compared="inertias",
    cases=(
        Case(partial(grouping, 9843, 512, 300), GOAL),
        Case(partial(grouping, 51_127, 256, 1000), GOAL),
    ),
    contestants={
        "pcclust": ours,
        "faiss, random start": faiss,
        "faiss, k-means++": partial(faiss, plus_plus=True),
        "scikit-learn": scikit_learn,
    },
    reference="scikit-learn",
    difference=excess,
    tolerance=0.01,
)
