"""Neighbour searches written from their definition: one query at a time, every distance."""

import numpy as np


def squared_distances(query: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Sums ``(q - p)²`` axis after axis in the dtype of the points, every operation rounded."""
    total = np.zeros(len(points), points.dtype)
    with np.errstate(over="ignore", under="ignore"):
        for axis in range(points.shape[1]):
            difference = query[axis] - points[:, axis]
            total = total + difference * difference
    return total


def shift_to_one(query: np.ndarray, points: np.ndarray) -> int:
    """Returns the power of two that brings the largest coordinate near 1, where squares fit."""
    return -int(np.frexp(max(np.abs(query).max(), np.abs(points).max()))[1])


def nearest(
    query: np.ndarray, points: np.ndarray, own_index: int | None = None, radius: float = np.inf
) -> list[tuple[float, int]]:
    """Returns points within a radius as (distance, index), nearest first, less ``own_index``.

    Nearness is that of the points near 1, whatever becomes of the distances themselves.
    """
    shift = shift_to_one(query, points)
    near = squared_distances(np.ldexp(query, shift), np.ldexp(points, shift)).tolist()
    with np.errstate(over="ignore", under="ignore"):
        limit = float(np.ldexp(points.dtype.type(radius), shift) ** 2)
    inside = [i for i, d in enumerate(near) if i != own_index and d <= limit]
    distances = squared_distances(query, points).tolist()
    return [(distances[i], i) for i in sorted(inside, key=lambda i: (near[i], i))]


def knn(
    points: np.ndarray, k: int, queries: np.ndarray | None = None, exclude_self: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Returns ``(M, k)`` squared distances and indices."""
    asked = points if queries is None else queries
    rows = [nearest(q, points, i if exclude_self else None)[:k] for i, q in enumerate(asked)]
    distances = np.array([[d for d, _ in row] for row in rows], points.dtype)
    return distances, np.array([[i for _, i in row] for row in rows], np.int64)


def ball_query(
    points: np.ndarray,
    radius: float,
    max_neighbors: int,
    queries: np.ndarray | None = None,
    exclude_self: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns ``(M, max_neighbors)`` squared distances and indices, and ``(M,)`` counts."""
    asked = points if queries is None else queries
    distances = np.full((len(asked), max_neighbors), np.inf, points.dtype)
    indices = np.full((len(asked), max_neighbors), -1, np.int64)
    counts = np.zeros(len(asked), np.int64)
    for i, query in enumerate(asked):
        inside = nearest(query, points, i if exclude_self else None, radius)
        counts[i] = min(len(inside), max_neighbors)
        for column, (distance, index) in enumerate(inside[:max_neighbors]):
            distances[i, column], indices[i, column] = distance, index
    return distances, indices, counts
