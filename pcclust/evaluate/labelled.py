"""Labelled shapes to test a model with."""

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.data.dataset import numbered_classes
from pcclust.data.transforms import check_batch

Array: TypeAlias = Tensor | NDArray[np.generic]


class LabelledShapes(NamedTuple):
    """Shapes and what they are.

    Attributes:
        points: ``(S, N, 3)``.
        labels: ``(S,)`` int64 classes from 0.
        names: of the shapes.
    """

    points: Tensor
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def labelled_shapes(
    points: Array, labels: Array | Sequence[int], names: Sequence[str] | None = None
) -> LabelledShapes:
    """Checks shapes and their labels.

    Args:
        points: ``(S, N, 3)``, torch or NumPy.
        labels: S classes from 0.
        names: of the shapes; their numbers if None.

    Raises:
        TypeError: points are no floating numbers.
        ValueError: no shapes, counts that do not agree, or points or labels that are none.

    Example:
        >>> import numpy as np
        >>> labelled_shapes(np.zeros((2, 5, 3)), [1, 0]).names
        ('0', '1')
    """
    clouds = torch.as_tensor(points)
    check_batch(clouds)
    if not clouds.isfinite().all():
        shape, point = (~clouds.isfinite().all(dim=2)).nonzero()[0].tolist()
        raise ValueError(f"points are not finite at point {point} of shape {shape}")
    classes = torch.as_tensor(labels).cpu().numpy()
    if len(clouds) == 0 or classes.shape != (len(clouds),):
        raise ValueError(
            f"{len(clouds)} shapes need as many labels and at least one, got {classes.shape}"
        )
    if classes.dtype.kind not in "iu" or classes.min() < 0:
        wrong = classes[classes < 0][0] if classes.dtype.kind in "iu" else classes.dtype
        raise ValueError(f"labels must be classes from 0, got {wrong}; leave out unlabelled shapes")
    named = [str(i) for i in range(len(clouds))] if names is None else names
    if len(named) != len(clouds):
        raise ValueError(f"{len(clouds)} shapes need as many names, got {len(named)}")
    return LabelledShapes(clouds, classes.astype(np.int64), tuple(named))


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
