"""Labelled shapes to test a model with."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data.dataset import PointDataset, numbered_classes
from pcclust.data.transforms import check_batch

Array: TypeAlias = Tensor | NDArray[np.generic]


def labelled_shapes(
    points: Array,
    labels: Array | Sequence[int],
    names: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> PointDataset:
    """Checks shapes and their labels.

    Args:
        points: ``(S, N, 3)``, torch or NumPy.
        labels: S classes from 0.
        names: of the shapes; their numbers if None.
        class_names: of the labels; see `name_classes`.

    Raises:
        TypeError: points are no floating numbers.
        ValueError: no shapes, counts that do not agree, or points or labels that are none.

    Example:
        >>> import numpy as np
        >>> labelled_shapes(np.zeros((2, 5, 3)), [1, 0]).counts()
        {'class 0': 1, 'class 1': 1}
    """
    clouds = torch.as_tensor(points)
    check_batch(clouds)
    if not clouds.isfinite().all():
        shape, point = (~clouds.isfinite().all(dim=2)).nonzero()[0].tolist()
        raise ValueError(f"points are not finite at point {point} of shape {shape}")
    classes = _checked(labels, len(clouds))
    if names is not None and len(names) != len(clouds):
        raise ValueError(f"{len(clouds)} shapes need as many names, got {len(names)}")
    everything = torch.arange(len(clouds))  # names given by hand may occur twice
    known = name_classes(class_names, classes)
    return PointDataset(clouds, classes, names, known, rows=everything)


def _checked(labels: Array | Sequence[int], count: int) -> NDArray[np.int64]:
    classes = torch.as_tensor(labels).cpu().numpy()
    if count == 0 or classes.shape != (count,):
        raise ValueError(
            f"{count} shapes need as many labels and at least one, got {classes.shape}"
        )
    if classes.dtype.kind not in "iu" or classes.min() < 0:
        wrong = classes[classes < 0][0] if classes.dtype.kind in "iu" else classes.dtype
        raise ValueError(f"labels must be classes from 0, got {wrong}; leave out unlabelled shapes")
    return classes.astype(np.int64)


def classes_of(shapes: PointDataset) -> NDArray[np.int64]:
    """Returns the labels ``(S,)`` of shapes that have some.

    Raises:
        ValueError: they have none.
    """
    if shapes.labels is None:
        what = shapes.source or "the dataset"
        raise ValueError(f"{what} has no labels, by which predictions could be right or wrong")
    labels: NDArray[np.int64] = shapes.labels.numpy()
    return labels


def name_classes(class_names: Sequence[str] | None, *labels: NDArray[np.int64]) -> tuple[str, ...]:
    """Returns the names of all classes, "class 0" and so on if they have none.

    Raises:
        ValueError: a label has no name.

    Example:
        >>> import numpy as np
        >>> name_classes(None, np.array([0, 2]))
        ('class 0', 'class 1', 'class 2')
    """
    highest = max(int(some.max()) for some in labels)
    if class_names is None:
        return numbered_classes(highest + 1)
    if highest >= len(class_names):
        raise ValueError(f"label {highest} has no name among {len(class_names)} class names")
    return tuple(class_names)
