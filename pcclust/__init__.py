"""pcclust: cluster 3-D shapes from bare point clouds, in any orientation, without labels."""

from pcclust.ops import (
    Ball,
    Neighbors,
    ball_query,
    farthest_point_sample,
    knn,
    use_backend,
)

__version__ = "0.1.0"
__all__ = [
    "Ball",
    "Neighbors",
    "__version__",
    "ball_query",
    "farthest_point_sample",
    "knn",
    "use_backend",
]
