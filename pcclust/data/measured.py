"""The one rule for rows of a cloud that are not finite, whatever the format."""

import warnings

import numpy as np
from numpy.typing import NDArray

from pcclust.data._parse_errors import ContentError, check_finite


class DataWarning(UserWarning):
    """Something of the data was left out or changed, which the message names with its file."""


def measured_points(points: NDArray[np.floating], place: object) -> NDArray[np.floating]:
    """Returns a cloud without its rows of NaN, by which scanners mark that nothing was measured.

    Args:
        points: ``(N, 3)``, at least one row.
        place: what the cloud is called in the warning, for instance its file.

    Returns:
        The rows that are not NaN throughout, with a `DataWarning` that counts the others.

    Raises:
        ContentError: no other rows; or a row with inf, or with NaN beside numbers.

    Example:
        >>> import warnings
        >>> import numpy as np
        >>> from pcclust.data.measured import measured_points
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     kept = measured_points(np.array([[0, 0, 0], [np.nan] * 3, [1, 2, 3]]), "a.ply")
        >>> kept.shape, str(caught[0].message)
        ((2, 3), 'a.ply: 1 of 3 rows is NaN, which marks no measurement; left out')
    """
    if np.isfinite(points).all():
        return points
    missing: NDArray[np.bool_] = np.isnan(points).all(axis=1)
    count = int(missing.sum())
    if count == len(points):
        raise ContentError(f"holds no point: all of its {count} rows are NaN")
    infinite = np.isinf(points).any(axis=1)
    broken = (np.isnan(points).any(axis=1) & ~missing) | infinite
    check_finite(np.where(broken[:, None], points, 0), "is not finite")
    verb = "is" if count == 1 else "are"
    warnings.warn(
        f"{place}: {count:,} of {len(points):,} rows {verb} NaN, which marks no measurement; "
        "left out",
        DataWarning,
        stacklevel=2,
    )
    measured: NDArray[np.floating] = points[~missing]
    return measured
