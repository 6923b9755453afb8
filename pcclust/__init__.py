"""pcclust: cluster 3-D shapes from bare point clouds, in any orientation, without labels."""

from pcclust.data import read_points
from pcclust.info import info
from pcclust.ops import Ball, Neighbors, ball_query, knn, use_backend

__version__ = "0.1.0"
__all__ = [
    "Ball",
    "Neighbors",
    "__version__",
    "ball_query",
    "info",
    "knn",
    "read_points",
    "use_backend",
]
