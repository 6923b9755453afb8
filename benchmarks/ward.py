"""Ward's hierarchical clustering of whole batches."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

import pcclust
from benchmarks import clouds
from benchmarks.suite import Answer, Case, Entry, Goal, Suite
from benchmarks.timing import fastest
from benchmarks.workers import in_processes, in_threads


class Linkage(NamedTuple):
    """Merge the points of each of ``(B, N, 3)`` clouds, pair by pair."""

    clouds: Tensor

    def __str__(self) -> str:
        """Names the sizes."""
        return f"{self.clouds.shape[0]}×{self.clouds.shape[1]:,}"

    def arrays(self) -> list[NDArray[np.float64]]:
        """Returns the clouds in the layout of SciPy and fastcluster."""
        return list(self.clouds.numpy().astype(np.float64))


def heights(linkages: Sequence[NDArray[Any]]) -> Answer:
    """Returns the heights at which each cloud's clusters merge."""
    return np.stack([linkage[:, 2] for linkage in linkages])


def ours(problem: Linkage, threads: int) -> Entry:
    """pcclust.ward_linkage on the batch."""
    link = pcclust.ward_linkage
    return Entry(lambda: link(problem.clouds), lambda linkages: heights(linkages.numpy()))


def fastcluster(problem: Linkage, threads: int) -> Entry:
    """The faster of fastcluster's two algorithms, clouds in threads."""
    from fastcluster import linkage, linkage_vector

    arrays = problem.arrays()
    detail, run = fastest(
        {
            each.__name__: in_threads(partial(each, method="ward"), arrays, threads)
            for each in (linkage, linkage_vector)
        }
    )
    return Entry(run, heights, detail)


def scipy(problem: Linkage, threads: int) -> Entry:
    """scipy.cluster.hierarchy.linkage, which keeps Python's lock: clouds in processes."""
    from scipy.cluster.hierarchy import linkage

    run = in_processes(partial(linkage, method="ward"), problem.arrays(), threads)
    return Entry(run, heights, f"{threads} processes", in_process=False)


def objects(batch: int, size: int, scale: float) -> Linkage:
    """Returns the clustering of object-like clouds."""
    return Linkage(clouds.shapes(batch, size, scale))


SUITE = Suite(
    title="Ward linkage",
    compared="merge heights",
    cases=(Case(partial(objects, 32, 1024), Goal(at_least=3, aim=5)),),
    contestants={"pcclust": ours, "fastcluster": fastcluster, "scipy": scipy},
    reference="scipy",
    tolerance=1e-9,
)
