"""The operations on point clouds, one file each."""

from pcclust.ops._registry import use_backend
from pcclust.ops.ball_query import Ball, ball_query
from pcclust.ops.farthest_point_sample import farthest_point_sample
from pcclust.ops.knn import Neighbors, knn

__all__ = ["Ball", "Neighbors", "ball_query", "farthest_point_sample", "knn", "use_backend"]
