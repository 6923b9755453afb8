"""Strips of triangles, in which each corner makes a triangle with the two before it."""

import numpy as np

from pcclust.data.mesh import Polygons


def triangles_of_strips(strips: Polygons) -> Polygons:
    """Returns the triangles of strips, all with the orientation of the first of their strip.

    Args:
        strips: the corners of each; a -1 among them ends a strip and begins another.

    Example:
        >>> import numpy as np
        >>> from pcclust.data.formats.strips import triangles_of_strips
        >>> from pcclust.data.mesh import Polygons
        >>> strip = Polygons(np.array([4, 5, 6, 7]), np.array([4]))
        >>> triangles_of_strips(strip).corners.tolist()
        [4, 5, 6, 6, 5, 7]
    """
    corners = strips.corners
    places = np.arange(len(corners))
    mark = corners == -1
    begins = mark.copy()
    begins[(np.cumsum(strips.sizes) - strips.sizes)[strips.sizes > 0]] = True
    begins[1:] |= mark[:-1]
    within = places - np.maximum.accumulate(np.where(begins, places, 0))
    last = places[within >= 2]
    odd = within[last] % 2
    return Polygons.triangles(
        np.stack([corners[last - 2 + odd], corners[last - 1 - odd], corners[last]], axis=1)
    )
