"""Point clouds of scanners: PCD, read by open3d, and LAS/LAZ, read by laspy."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pcclust.data._blame import ContentError
from pcclust.data._promises import check_promises
from pcclust.data.extras import import_laspy, import_open3d


def load_pcd(path: Path) -> NDArray[np.float64]:
    """Reads a PCD file; rows that are all NaN, its mark for "no measurement", are left out."""
    open3d = import_open3d()
    check_promises(path)
    # open3d only warns where it cannot read, and returns an empty cloud.
    with open3d.utility.VerbosityContextManager(open3d.utility.VerbosityLevel.Error):
        cloud = open3d.io.read_point_cloud(str(path), format="pcd")
    points = np.asarray(cloud.points, dtype=np.float64)
    if len(points) == 0:
        raise ContentError("open3d finds no points in it: it is empty, truncated or no PCD file")
    return points[~np.isnan(points).all(axis=1)]


def load_las(path: Path) -> NDArray[np.float64]:
    """Reads a LAS or LAZ file, scaled and offset as its header says."""
    laspy = import_laspy(compressed=path.suffix.lower() == ".laz")
    cloud = laspy.read(path)
    if len(cloud.points) != cloud.header.point_count:
        raise ContentError(
            f"the header promises {cloud.header.point_count} points, but {len(cloud.points)} follow"
        )
    return np.asarray(cloud.xyz, dtype=np.float64)
