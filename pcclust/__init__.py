"""pcclust: cluster 3-D shapes from bare point clouds, in any orientation, without labels."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pcclust import _start  # noqa: F401  # first: it lets Ctrl-C end what follows
from pcclust._version import __version__
from pcclust.info import info
from pcclust.ops import (
    Ball,
    NeighborIndex,
    Neighbors,
    Normals,
    RRICode,
    Voxels,
    ball_query,
    chamfer_distance,
    farthest_point_sample,
    knn,
    normals,
    rri,
    rri_decode,
    rri_encode,
    use_backend,
    voxel_downsample,
    ward_labels,
    ward_linkage,
)

if TYPE_CHECKING:
    from pcclust import cluster, data, evaluate, methods, nn, pyg, training
    from pcclust.cluster import KMeans
    from pcclust.data import read_points
    from pcclust.evaluate import embed
    from pcclust.evaluate.shape_transformers import ShapeEmbedding, ShapeStatistics
    from pcclust.nn.weights import load

# The operators need torch alone. All else is imported when it is first asked for, so that whoever
# wants the operators does not wait for libraries that read files or solve assignments.
_PACKAGES = ("cluster", "data", "evaluate", "methods", "nn", "pyg", "training")
_HOMES = {
    "KMeans": "cluster",
    "ShapeEmbedding": "evaluate.shape_transformers",
    "ShapeStatistics": "evaluate.shape_transformers",
    "embed": "evaluate",
    "load": "nn.weights",
    "read_points": "data",
}

__all__ = [
    "Ball",
    "KMeans",
    "NeighborIndex",
    "Neighbors",
    "Normals",
    "RRICode",
    "ShapeEmbedding",
    "ShapeStatistics",
    "Voxels",
    "__version__",
    "ball_query",
    "chamfer_distance",
    "cluster",
    "data",
    "embed",
    "evaluate",
    "farthest_point_sample",
    "info",
    "knn",
    "load",
    "methods",
    "nn",
    "normals",
    "pyg",
    "read_points",
    "rri",
    "rri_decode",
    "rri_encode",
    "training",
    "use_backend",
    "voxel_downsample",
    "ward_labels",
    "ward_linkage",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    """Imports what is asked for the first time; the module keeps it."""
    if name in _PACKAGES:
        return import_module(f"pcclust.{name}")
    if name in _HOMES:
        value = getattr(import_module(f"pcclust.{_HOMES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'pcclust' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
