"""Layers and backbones."""

from pcclust.nn.backbones import BACKBONES, create_backbone
from pcclust.nn.classifier import Classifier
from pcclust.nn.dgcnn import DGCNN
from pcclust.nn.edge_conv import EdgeConv
from pcclust.nn.pointnet import PointNet

__all__ = [
    "BACKBONES",
    "DGCNN",
    "Classifier",
    "EdgeConv",
    "PointNet",
    "create_backbone",
]
