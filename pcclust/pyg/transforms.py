"""Transforms of PyTorch Geometric, for a `Data` and a `Batch`, alone or in a `Compose`."""

from typing import Any

import torch
from torch import Tensor

from pcclust._extras import require
from pcclust.ops import rri
from pcclust.ops.rri import Center
from pcclust.pyg.edges import Flow, knn_graph, radius_graph

# The class of a library that may be missing, by the name under which its message is known.
BaseTransform: Any = require(
    "torch_geometric.transforms", "transforms of pcclust.pyg"
).BaseTransform


class KNNGraph(BaseTransform):  # type: ignore[misc]
    """Joins each point to its k nearest, in ``data.edge_index``; see `pcclust.pyg.knn_graph`.

    As torch_geometric's transform of the name, without torch-cluster or pyg-lib; edges have no
    attributes afterwards.

    Args:
        k: how many neighbours of each point; in a cloud with fewer, all.
        loop: whether a point is one of its own neighbours.
        force_undirected: whether each edge goes both ways.
        flow: which way edges go, "source_to_target" (from neighbours to points) or
            "target_to_source".
        cosine: whether the angle between vectors is compared instead of the distance of points.
        num_workers: ignored; threads are those of torch.

    Raises:
        ImportError: there is no torch_geometric.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from pcclust.pyg import KNNGraph
        >>> data = Data(pos=torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]]))
        >>> KNNGraph(k=1)(data).edge_index.tolist()
        [[1, 0, 1], [0, 1, 2]]
    """

    def __init__(
        self,
        k: int = 6,
        loop: bool = False,
        force_undirected: bool = False,
        flow: Flow = "source_to_target",
        cosine: bool = False,
        num_workers: int = 1,
    ) -> None:
        self.k = k
        self.loop = loop
        self.force_undirected = force_undirected
        self.flow = flow
        self.cosine = cosine
        self.num_workers = num_workers

    def forward(self, data: Any) -> Any:  # noqa: ANN401
        """Returns the data with edges."""
        pos, batch = _positions(data, self)
        edges = knn_graph(pos, self.k, batch, self.loop, self.flow, self.cosine)
        return _with_edges(data, edges, self.force_undirected)

    def __repr__(self) -> str:
        return f"KNNGraph(k={self.k})"


class RadiusGraph(BaseTransform):  # type: ignore[misc]
    """Joins each point to all within a radius; see `pcclust.pyg.radius_graph`.

    As torch_geometric's transform of the name, without torch-cluster or pyg-lib; edges have no
    attributes afterwards. The nearest are kept where there are too many.

    Args:
        r: the radius; a distance equal to it is within.
        loop: whether a point is one of its own neighbours.
        max_num_neighbors: of a point, at most.
        flow: as for `KNNGraph`.
        num_workers: ignored; threads are those of torch.

    Raises:
        ImportError: there is no torch_geometric.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from pcclust.pyg import RadiusGraph
        >>> data = Data(pos=torch.tensor([[0.0, 0, 0], [1, 0, 0], [3, 0, 0]]))
        >>> RadiusGraph(r=1.5)(data).edge_index.tolist()
        [[1, 0], [0, 1]]
    """

    def __init__(
        self,
        r: float,
        loop: bool = False,
        max_num_neighbors: int = 32,
        flow: Flow = "source_to_target",
        num_workers: int = 1,
    ) -> None:
        self.r = r
        self.loop = loop
        self.max_num_neighbors = max_num_neighbors
        self.flow = flow
        self.num_workers = num_workers

    def forward(self, data: Any) -> Any:  # noqa: ANN401
        """Returns the data with edges."""
        pos, batch = _positions(data, self)
        edges = radius_graph(pos, self.r, batch, self.loop, self.max_num_neighbors, self.flow)
        return _with_edges(data, edges, undirected=False)

    def __repr__(self) -> str:
        return f"RadiusGraph(r={self.r})"


class RRI(BaseTransform):  # type: ignore[misc]
    """Describes each point by numbers that no rotation changes; see `pcclust.rri`.

    Args:
        k: how many neighbours, fewer than the points of the smallest cloud.
        center: the fixed point of the rotations, the "centroid" of each cloud or the "origin".
        attr_name: where ``(N, k, 4)`` of r_i, r_ik, θ_ik, φ_ik are put. If None, they are appended
            to ``data.x`` as 4k columns.

    Raises:
        ImportError: there is no torch_geometric.

    Example:
        >>> import torch
        >>> from torch_geometric.data import Data
        >>> from torch_geometric.transforms import Compose
        >>> from pcclust.pyg import RRI, KNNGraph
        >>> data = Compose([RRI(k=20), KNNGraph(k=6)])(Data(pos=torch.rand(100, 3)))
        >>> data.rri.shape, data.edge_index.shape
        (torch.Size([100, 20, 4]), torch.Size([2, 600]))
    """

    def __init__(
        self, k: int = 20, center: Center = "centroid", attr_name: str | None = "rri"
    ) -> None:
        self.k = k
        self.center = center
        self.attr_name = attr_name

    def forward(self, data: Any) -> Any:  # noqa: ANN401
        """Returns the data with the features of its points."""
        pos, batch = _positions(data, self)
        features = rri(pos, self.k, center=self.center, batch=batch)
        if self.attr_name is not None:
            data[self.attr_name] = features
            return data
        before = data.x if isinstance(data.x, Tensor) else features.new_empty(len(features), 0)
        before = before[:, None] if before.dim() == 1 else before
        data.x = torch.cat([before, features.flatten(1)], dim=1)
        return data

    def __repr__(self) -> str:
        return f"RRI(k={self.k})"


def _positions(data: Any, transform: object) -> tuple[Tensor, Tensor | None]:  # noqa: ANN401
    """Returns where the points are, and the cloud of each where there are several."""
    pos = getattr(data, "pos", None)
    if not isinstance(pos, Tensor):
        kind = type(data).__name__
        raise TypeError(f"{transform} needs a Data with pos, the positions; this {kind} has none")
    return pos, getattr(data, "batch", None)


def _with_edges(data: Any, edges: Tensor, undirected: bool) -> Any:  # noqa: ANN401
    if undirected:
        utils = require("torch_geometric.utils", "transforms of pcclust.pyg")
        edges = utils.to_undirected(edges, num_nodes=data.num_nodes)
    data.edge_index, data.edge_attr = edges, None
    return data
