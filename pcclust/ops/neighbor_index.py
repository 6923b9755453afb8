"""An index to search from many queries after building once."""

from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from pcclust.ops import _registry
from pcclust.ops._arrays import to_numpy, to_tensor
from pcclust.ops._clouds import Clouds, check_count, flatten
from pcclust.ops.ball_query import Ball, checked_radius
from pcclust.ops.knn import (
    Neighbors,
    differentiable_distances,
    flatten_queries,
    search_arguments,
)

Array = Tensor | np.ndarray[Any, Any]
Found = TypeVar("Found", Neighbors, Ball)
INDEXED_DIMENSIONS = 3  # more are searched exhaustively, and there is nothing to build


class NeighborIndex:
    """Answers `knn` and `ball_query` on fixed points without preparing them anew each time.

    The answers are those of the functions, bit for bit. On the native backend the points are put
    into a kd-tree once; the other backends keep the points and search them as the functions do.

    Args:
        points: ``(N, D)``, ``(B, N, D)`` or, with ``offsets``, packed ``(ΣN, D)``; tensor or array.
        lengths: ``(B,)`` the number of points of each cloud of a padded batch.
        offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.

    Raises:
        TypeError: wrong type or dtype.
        ValueError: wrong shape, no points, NaN or inf, bad lengths or offsets.

    Example:
        >>> import numpy as np, pcclust
        >>> index = pcclust.NeighborIndex(np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]]))
        >>> index.knn(1, queries=np.array([[2.5, 0, 0]])).indices.tolist()
        [[2]]
        >>> index.ball_query(2.0, 3).counts.tolist()
        [2, 3, 2]
    """

    def __init__(
        self,
        points: Array,
        *,
        lengths: Array | None = None,
        offsets: Array | None = None,
    ) -> None:
        self._numpy = isinstance(points, np.ndarray)
        clouds = flatten(to_tensor(points), to_tensor(lengths), to_tensor(offsets))
        # Copies, so that what becomes of the caller's arrays is no matter to the index.
        rows, starts, sizes = (tensor.clone() for tensor in clouds[:3])
        self._clouds = clouds._replace(rows=rows, starts=starts, sizes=sizes)
        self._trees = _build_trees(self._clouds)

    def knn(
        self,
        k: int,
        *,
        queries: Array | None = None,
        exclude_self: bool = False,
        query_lengths: Array | None = None,
        query_offsets: Array | None = None,
    ) -> Neighbors:
        """Finds the k nearest of the indexed points; arguments and result are those of `knn`."""
        asked = self._asked(queries, exclude_self, query_lengths, query_offsets)
        check_count(k, self._clouds, "k", spare=int(exclude_self))
        distances, indices, _ = self._search(asked, float("inf"), k, exclude_self)
        shape = (*(asked or self._clouds).shape, k)
        return self._returned(Neighbors(distances.view(shape), indices.view(shape)))

    def ball_query(
        self,
        radius: float,
        max_neighbors: int,
        *,
        queries: Array | None = None,
        exclude_self: bool = False,
        query_lengths: Array | None = None,
        query_offsets: Array | None = None,
    ) -> Ball:
        """Finds the indexed points within a radius; arguments and result are `ball_query`'s."""
        asked = self._asked(queries, exclude_self, query_lengths, query_offsets)
        check_count(max_neighbors, self._clouds._replace(smallest=None), "max_neighbors")
        radius = checked_radius(radius)
        distances, indices, counts = self._search(asked, radius, max_neighbors, exclude_self)
        leading = (asked or self._clouds).shape
        shape = (*leading, max_neighbors)
        return self._returned(
            Ball(distances.view(shape), indices.view(shape), counts.view(leading))
        )

    def _asked(
        self,
        queries: Array | None,
        exclude_self: bool,
        lengths: Array | None,
        offsets: Array | None,
    ) -> Clouds | None:
        if queries is not None and isinstance(queries, np.ndarray) != self._numpy:
            raise TypeError(
                f"queries are {type(queries).__name__}, "
                f"the index holds {'NumPy arrays' if self._numpy else 'tensors'}"
            )
        rows, sizes, ends = (to_tensor(value) for value in (queries, lengths, offsets))
        return flatten_queries(self._clouds, rows, sizes, ends, exclude_self)

    def _search(
        self, asked: Clouds | None, radius: float, k: int, exclude_self: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        clouds = self._clouds
        if self._trees is None or _registry.forced_backend() == "torch":
            arguments = (*search_arguments(clouds, asked), radius, k, exclude_self)
            distances, indices, counts = _registry.call("ball_query", *arguments)
        else:
            source = asked or clouds
            rows = None if asked is None else asked.rows.detach().numpy()
            table = (source.starts.numpy(), source.sizes.numpy())
            found = self._trees.search(rows, *table, clouds.packed, radius, k, exclude_self)
            distances, indices, counts = (torch.from_numpy(array) for array in found)
        return differentiable_distances(clouds, asked, distances, indices), indices, counts

    def _returned(self, result: Found) -> Found:
        return cast(Found, to_numpy(result)) if self._numpy else result


def _build_trees(clouds: Clouds) -> Any:  # noqa: ANN401
    """Builds the native kd-trees, or returns None where they do not serve."""
    small = clouds.rows.shape[1] <= INDEXED_DIMENSIONS and clouds.rows.device.type == "cpu"
    if _registry.native is None or not small or _registry.forced_backend() == "torch":
        return None
    kind = "NeighborIndexF32" if clouds.rows.dtype == torch.float32 else "NeighborIndexF64"
    tables = (clouds.starts.numpy(), clouds.sizes.numpy())
    return getattr(_registry.native, kind)(clouds.rows.detach().numpy(), *tables)
