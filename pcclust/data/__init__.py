"""Shapes from files: readers, streams of many files, and sampling."""

from pcclust.data.readers import count_clouds, read_clouds, read_points
from pcclust.data.sampling import resample, sample_surface
from pcclust.data.streaming import NamedCloud, ReadFailure, find_files, name_clouds, stream_clouds

__all__ = [
    "NamedCloud",
    "ReadFailure",
    "count_clouds",
    "find_files",
    "name_clouds",
    "read_clouds",
    "read_points",
    "resample",
    "sample_surface",
    "stream_clouds",
]
