"""Shapes from files: readers and sampling."""

from pcclust.data.readers import count_clouds, read_clouds, read_points
from pcclust.data.sampling import resample, sample_surface

__all__ = ["count_clouds", "read_clouds", "read_points", "resample", "sample_surface"]
