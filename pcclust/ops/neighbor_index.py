"""An index to search from many queries after building once."""

from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from pcclust.ops import _registry
from pcclust.ops._arrays import to_numpy, to_tensor
from pcclust.ops._checks import check_points, require
from pcclust.ops._clouds import Clouds, check_count, flatten, per_point
from pcclust.ops._objects import open_points
from pcclust.ops._registry import declare
from pcclust.ops.ball_query import Ball, ball_query_fake, ball_search, checked_radius
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
    A pickle or a copy of an index holds the points, and what opens it builds the trees that serve
    there: an index may travel to other processes and machines.

    Args:
        points: ``(N, D)``, ``(B, N, D)`` or, with ``offsets``, packed ``(ΣN, D)``; tensor or array.
        lengths: ``(B,)`` the number of points of each cloud of a padded batch.
        offsets: ``(B + 1,)`` where each packed cloud begins; the last entry is ΣN.
        batch: ``(ΣN,)`` the cloud of each packed point, sorted, instead of ``offsets``.

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
        batch: Array | None = None,
    ) -> None:
        opened = open_points(points, "points")
        self._numpy = opened.numpy
        ends = opened.offsets if offsets is None else offsets
        sizes, ends, numbers = (to_tensor(table) for table in (lengths, ends, batch))
        clouds = flatten(to_tensor(opened.points), sizes, ends, batch=numbers)
        # Copies, so that what becomes of the caller's arrays is no matter to the index.
        rows, starts, sizes = (tensor.clone() for tensor in clouds[:3])
        self._clouds = clouds._replace(rows=rows, starts=starts, sizes=sizes)
        self._trees = _build_trees(self._clouds)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_trees"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
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
        source = asked or self._clouds
        return self._returned(Neighbors(per_point(distances, source), per_point(indices, source)))

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
        found = self._search(asked, radius, max_neighbors, exclude_self)
        source = asked or self._clouds
        return self._returned(Ball(*(per_point(result, source) for result in found)))

    def _asked(
        self,
        queries: Array | None,
        exclude_self: bool,
        lengths: Array | None,
        offsets: Array | None,
    ) -> Clouds | None:
        queries = open_points(queries, "queries").points
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
        ordinary = clouds.ordinary and (asked is None or asked.ordinary)
        if self._trees is None or not ordinary:
            found = ball_search(clouds, asked, radius, k, exclude_self)
        else:
            arguments = (*search_arguments(clouds, asked), radius, k, exclude_self)
            found = _registry.call("index_search", *arguments[:3], self._trees, *arguments[3:])
        distances, indices, counts = found
        return differentiable_distances(clouds, asked, distances, indices), indices, counts

    def _returned(self, result: Found) -> Found:
        return cast(Found, to_numpy(result)) if self._numpy else result


def _build_trees(clouds: Clouds) -> Tensor | None:
    """Builds the native kd-trees, or returns None where they do not serve."""
    small = clouds.rows.shape[1] <= INDEXED_DIMENSIONS and clouds.rows.device.type == "cpu"
    if _registry.native is None or not small or _registry.forced_backend() == "torch":
        return None
    trees: Tensor = _registry.call("index_build", clouds.rows.detach(), *clouds[1:3])
    return trees


def _check_indexed(indexed: Tensor, starts: Tensor, sizes: Tensor) -> None:
    """Raises unless these are points that an index can be built from."""
    check_points(indexed, starts, sizes)
    fits = indexed.shape[1] <= INDEXED_DIMENSIONS
    require(fits, f"an index has 1 to {INDEXED_DIMENSIONS} dimensions, got {indexed.shape[1]}")


def _index_build_torch(indexed: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    """Has nothing to build: an index of zeros, which only the twin of the search takes."""
    _check_indexed(indexed, starts, sizes)
    return _index_build_fake(indexed, starts, sizes).zero_()


def _index_search_torch(
    indexed: Tensor,
    starts: Tensor,
    sizes: Tensor,
    index: Tensor,
    *arguments: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor, Tensor]:
    _check_indexed(indexed, starts, sizes)
    fits = index.shape == _index_build_fake(indexed.to("meta"), starts, sizes).shape
    require(fits and index.dtype == torch.uint8, "index was not built from these points")
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.pcclust.ball_query_torch(
        indexed, starts, sizes, *arguments
    )
    return found


def _index_build_fake(indexed: Tensor, starts: Tensor, sizes: Tensor) -> Tensor:
    # As csrc/ops/neighbor_index.cpp says: room for the trees of any clouds of so many points.
    rows, clouds, element = indexed.shape[0], starts.shape[0], indexed.element_size()
    leaf, boxes = 48 * element + 64, 96 * element + 64
    room = 64 + (rows // 16 + clouds) * leaf + (rows // 120 + clouds) * boxes
    return indexed.new_empty((room,), dtype=torch.uint8)


def _index_search_fake(
    indexed: Tensor,
    starts: Tensor,
    sizes: Tensor,
    index: Tensor,
    *arguments: Any,  # noqa: ANN401
) -> tuple[Tensor, Tensor, Tensor]:
    return ball_query_fake(indexed, starts, sizes, *arguments)


declare(
    "index_build(Tensor indexed, Tensor starts, Tensor sizes) -> Tensor index",
    _index_build_torch,
    _index_build_fake,
)
declare(
    "index_search(Tensor indexed, Tensor starts, Tensor sizes, Tensor index, Tensor? queries, "
    "Tensor? query_starts, Tensor? query_sizes, bool packed, float radius, int max_neighbors, "
    "bool exclude_self) -> (Tensor distances, Tensor indices, Tensor counts)",
    _index_search_torch,
    _index_search_fake,
)
