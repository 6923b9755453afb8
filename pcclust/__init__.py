"""pcclust: cluster 3-D shapes from bare point clouds, in any orientation, without labels."""

from pcclust import evaluate
from pcclust.cluster import KMeans
from pcclust.data import read_points
from pcclust.info import info
from pcclust.nn.weights import load
from pcclust.ops import (
    Ball,
    NeighborIndex,
    Neighbors,
    RRICode,
    ball_query,
    farthest_point_sample,
    knn,
    rri,
    rri_decode,
    rri_encode,
    use_backend,
    ward_labels,
    ward_linkage,
)

__version__ = "0.1.0"
__all__ = [
    "Ball",
    "KMeans",
    "NeighborIndex",
    "Neighbors",
    "RRICode",
    "__version__",
    "ball_query",
    "evaluate",
    "farthest_point_sample",
    "info",
    "knn",
    "load",
    "read_points",
    "rri",
    "rri_decode",
    "rri_encode",
    "use_backend",
    "ward_labels",
    "ward_linkage",
]
