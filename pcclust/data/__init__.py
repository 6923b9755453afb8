"""Shapes: readers, datasets, transforms, parts, corruptions and loading."""

from pcclust.data.dataset import PointDataset, Shape
from pcclust.data.detect import open_dataset
from pcclust.data.folder import PointFolder
from pcclust.data.layouts import LayoutError
from pcclust.data.loader import Batch, PointLoader
from pcclust.data.measured import DataWarning
from pcclust.data.mesh import Mesh
from pcclust.data.modelnet import ModelNet
from pcclust.data.open3d_cloud import to_open3d
from pcclust.data.readers import count_clouds, read_clouds, read_points
from pcclust.data.sampling import resample, sample_surface
from pcclust.data.scanobjectnn import ScanObjectNN
from pcclust.data.shapenet import ShapeNetCore, ShapeNetPart
from pcclust.data.streaming import NamedCloud, ReadFailure, find_files, name_clouds, stream_clouds

__all__ = [
    "Batch",
    "DataWarning",
    "LayoutError",
    "Mesh",
    "ModelNet",
    "NamedCloud",
    "PointDataset",
    "PointFolder",
    "PointLoader",
    "ReadFailure",
    "ScanObjectNN",
    "Shape",
    "ShapeNetCore",
    "ShapeNetPart",
    "count_clouds",
    "find_files",
    "name_clouds",
    "open_dataset",
    "read_clouds",
    "read_points",
    "resample",
    "sample_surface",
    "stream_clouds",
    "to_open3d",
]
