"""Shapes: datasets, transforms, parts, corruptions and loading."""

from pcclust.data.dataset import PointDataset, Shape
from pcclust.data.folder import PointFolder
from pcclust.data.layouts import LayoutError
from pcclust.data.loader import Batch, PointLoader
from pcclust.data.modelnet import ModelNet
from pcclust.data.scanobjectnn import ScanObjectNN
from pcclust.data.shapenet import ShapeNetCore, ShapeNetPart

__all__ = [
    "Batch",
    "LayoutError",
    "ModelNet",
    "PointDataset",
    "PointFolder",
    "PointLoader",
    "ScanObjectNN",
    "Shape",
    "ShapeNetCore",
    "ShapeNetPart",
]
