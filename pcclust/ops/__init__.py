"""The operations on point clouds, one file each."""

from pcclust.ops._registry import use_backend
from pcclust.ops.ball_query import Ball, ball_query
from pcclust.ops.chamfer_distance import chamfer_distance
from pcclust.ops.edge_reduce import edge_reduce
from pcclust.ops.farthest_point_sample import farthest_point_sample
from pcclust.ops.knn import Neighbors, knn
from pcclust.ops.neighbor_index import NeighborIndex
from pcclust.ops.normals import Normals, normals
from pcclust.ops.rri import rri
from pcclust.ops.rri_code import RRICode, rri_decode, rri_encode
from pcclust.ops.voxel_downsample import Voxels, voxel_downsample
from pcclust.ops.ward import ward_labels, ward_linkage

__all__ = [
    "Ball",
    "NeighborIndex",
    "Neighbors",
    "Normals",
    "RRICode",
    "Voxels",
    "ball_query",
    "chamfer_distance",
    "edge_reduce",
    "farthest_point_sample",
    "knn",
    "normals",
    "rri",
    "rri_decode",
    "rri_encode",
    "use_backend",
    "voxel_downsample",
    "ward_labels",
    "ward_linkage",
]
