"""Graphs of PyTorch Geometric built by pcclust's kernels: edges as torch-cluster's, and transforms.

The functions need torch alone, the transforms torch_geometric as well (`pip install
'pcclust[pyg]'`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pcclust.pyg.edges import knn, knn_graph, radius, radius_graph

if TYPE_CHECKING:
    from pcclust.pyg.transforms import RRI, KNNGraph, RadiusGraph

_TRANSFORMS = ("RRI", "KNNGraph", "RadiusGraph")

__all__ = ["RRI", "KNNGraph", "RadiusGraph", "knn", "knn_graph", "radius", "radius_graph"]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports the transforms, and with them torch_geometric, when the first is asked for."""
    if name in _TRANSFORMS:
        return getattr(import_module("pcclust.pyg.transforms"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
