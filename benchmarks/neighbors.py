"""What the suites that search neighbours have in common."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.suite import Answer, Unfit

CHECKED_ROWS = 50_000  # of a case; the answers to more queries are compared at regular intervals
LARGEST_MATRIX = 1 << 30  # bytes of distances that plain torch may hold
Indices = NDArray[np.integer[Any]]


class Search(NamedTuple):
    """Find the neighbours of every point of ``(B, N, D)`` clouds: the k nearest within a radius."""

    clouds: Tensor
    k: int
    radius: float = math.inf

    def __str__(self) -> str:
        """Names the sizes."""
        batch, size, dimensions = self.clouds.shape
        name = f"{batch}×{size:,}" + (f", D={dimensions}" if dimensions != 3 else "")
        return f"{name}, k={self.k}" if self.radius == math.inf else f"{name}, r={self.radius:g}"

    def arrays(self, dtype: str) -> list[NDArray[Any]]:
        """Returns the clouds as contiguous arrays of ``dtype``."""
        return list(np.ascontiguousarray(self.clouds.numpy().astype(dtype)))

    def packed(self) -> tuple[Tensor, Tensor]:
        """Returns the clouds packed, ``(ΣN, D)``, and the cloud of each row."""
        batch, size, dimensions = self.clouds.shape
        rows = self.clouds.reshape(-1, dimensions)
        return rows, torch.arange(batch).repeat_interleave(size)

    def refuse_matrix(self) -> None:
        """Raises where all distances at once would not fit."""
        batch, size, _ = self.clouds.shape
        if batch * size * size * 4 > LARGEST_MATRIX:
            needed = batch * size * size * 4 / 2**30
            raise Unfit(f"its matrix of distances would need {needed:,.0f} GiB")


def checked_rows(problem: Search) -> slice:
    """Returns the queries of each cloud whose neighbours are compared."""
    batch, size, _ = problem.clouds.shape
    return slice(None, None, max(1, batch * size // CHECKED_ROWS))


def chosen_distances(problem: Search, indices: Sequence[Indices] | Indices) -> Answer:
    """Returns the squared distances, in float64, of the neighbours that a contestant chose.

    They compare contestants that break ties differently or return rounded distances. A missing
    neighbour, an index outside the cloud, counts as one at the radius.

    Args:
        problem: the clouds that were searched.
        indices: ``(B, N, k)`` positions in the cloud, in any order.
    """
    rows, answers = checked_rows(problem), []
    for cloud, chosen in zip(problem.clouds.numpy().astype(np.float64), indices, strict=True):
        some = np.asarray(chosen)[rows].astype(np.int64)
        missing = (some < 0) | (some >= len(cloud))
        apart = cloud[np.where(missing, 0, some)] - cloud[rows, None]
        squared = np.where(missing, problem.radius**2, (apart**2).sum(axis=-1))
        answers.append(np.sort(squared, axis=-1))
    return np.stack(answers)


def returned_distances(problem: Search, distances: Tensor) -> Answer:
    """Returns the squared distances that pcclust itself returns, in the same form."""
    some = distances[:, checked_rows(problem)].double().clamp(max=problem.radius**2)
    answer: Answer = some.numpy()
    return answer


def edges_to_indices(problem: Search, edges: Tensor) -> Indices:
    """Returns torch-cluster's ``(2, E)`` edges (query, neighbour) as ``(B, N, k)`` indices."""
    batch, size, _ = problem.clouds.shape
    indices = np.full((batch * size, problem.k), -1)
    query, neighbor = edges.numpy()
    order = np.argsort(query, kind="stable")
    query, neighbor = query[order], neighbor[order]
    rank = np.arange(len(query)) - np.searchsorted(query, query)
    indices[query, rank] = neighbor % size
    return indices.reshape(batch, size, problem.k)
