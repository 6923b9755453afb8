"""The operations on point clouds, one file each."""

from pcclust.ops._registry import use_backend
from pcclust.ops.ball_query import Ball, ball_query
from pcclust.ops.edge_reduce import edge_reduce
from pcclust.ops.farthest_point_sample import farthest_point_sample
from pcclust.ops.knn import Neighbors, knn
from pcclust.ops.neighbor_index import NeighborIndex
from pcclust.ops.rri import rri
from pcclust.ops.rri_code import RRICode, rri_decode, rri_encode
from pcclust.ops.ward import ward_labels, ward_linkage

__all__ = [
    "Ball",
    "NeighborIndex",
    "Neighbors",
    "RRICode",
    "ball_query",
    "edge_reduce",
    "farthest_point_sample",
    "knn",
    "rri",
    "rri_decode",
    "rri_encode",
    "use_backend",
    "ward_labels",
    "ward_linkage",
]
