"""One type for every dataset: points, labels, names, class names and the axis that points up."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from pcclust._names import counted, visible
from pcclust._notebook import InNotebooks
from pcclust.data.storage import MemoryStorage, Storage, refuse_not_finite

UpAxis = Literal["x", "y", "z"]
UP_AXES: tuple[UpAxis, ...] = ("x", "y", "z")
NO_LABEL = -1


class Shape(NamedTuple):
    """One item of a dataset.

    Attributes:
        points: ``(P, 3)`` float32.
        label: the class, or -1 where there are no labels.
        name: what the dataset calls the shape.
    """

    points: Tensor
    label: int
    name: str


class PointDataset(InNotebooks, Dataset[Shape]):
    """Shapes of equally many points, with what is known about them.

    Every dataset of this package is one; it works with ``torch.utils.data.DataLoader`` and, much
    faster, with `pcclust.data.PointLoader`. Points are float32; shapes farther from the origin than
    16 times their extent are moved to their mean first, so that none of their detail is lost.

    Args:
        storage: the points, ``(N, P, 3)`` as a tensor or wherever they are kept.
        labels: ``(N,)`` integers from 0, or None.
        names: N different names; "0", "1", … if None.
        class_names: the name of each label; as many as the labels need.
        up_axis: the axis against gravity when the shapes stand upright, None if not known.
        rows: ``(N,)`` which shapes of the storage these are; all of them if None.
        source: what they were opened from, in words.

    Where only names and labels of shapes are known, as in a file of features, P is 0.

    Raises:
        ValueError: counts that do not agree, a duplicate name, a label without a class name.

    Example:
        >>> import torch
        >>> from pcclust.data import PointDataset
        >>> cups = PointDataset(torch.rand(5, 64, 3), labels=[0, 0, 1, 1, 1],
        ...                     class_names=["cup", "bowl"], up_axis="z")
        >>> len(cups), cups.num_points, cups[4].label, cups.counts()
        (5, 64, 1, {'cup': 2, 'bowl': 3})
    """

    def __init__(
        self,
        storage: Storage | Tensor,
        labels: Tensor | Sequence[int] | np.ndarray | None = None,
        names: Sequence[str] | None = None,
        class_names: Sequence[str] = (),
        up_axis: UpAxis | None = None,
        *,
        rows: Tensor | None = None,
        source: str = "",
    ) -> None:
        self.source = source
        self.storage: Storage = MemoryStorage(storage) if isinstance(storage, Tensor) else storage
        self.rows = torch.arange(len(self.storage)) if rows is None else rows
        self.names = [str(row) for row in self.rows.tolist()] if names is None else list(names)
        self.class_names = tuple(class_names)
        self.labels = _checked_labels(labels, len(self), self.class_names)
        self.up_axis = _checked_axis(up_axis)
        if rows is None:  # a subset may well hold a shape twice
            _check_names(self.names, len(self))

    def __repr__(self) -> str:
        classes = (
            f", {counted(len(self.class_names), 'class', 'classes')}" if self.class_names else ""
        )
        up = f", {self.up_axis} up" if self.up_axis else ""
        return visible(f"{type(self).__name__}({self.title}{classes}{up})")

    @property
    def num_points(self) -> int:
        """The points of every shape."""
        return self.storage.num_points

    @property
    def title(self) -> str:
        """What these shapes are, in words."""
        counts = counted(len(self), "shape")
        if self.num_points:  # files of features may hold none
            counts += f" of {counted(self.num_points, 'point')}"
        return f"{self.source}: {counts}" if self.source else counts

    @property
    def points(self) -> Tensor:
        """``(N, P, 3)`` float32, all shapes; reads what is not in memory yet."""
        everything = torch.arange(len(self))
        whole = len(self) == len(self.storage) and torch.equal(self.rows, everything)
        if isinstance(self.storage, MemoryStorage) and whole:
            refuse_not_finite(self.storage.points, everything)
            return self.storage.points
        return self.batch(everything)

    def __len__(self) -> int:
        return self.rows.shape[0]

    def __getitem__(self, index: int) -> Shape:
        if not -len(self) <= index < len(self):
            raise IndexError(f"shape {index} of a dataset of {len(self)} shapes")
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[Shape]:
        """Returns several shapes at once; ``torch.utils.data.DataLoader`` asks for batches so."""
        at = torch.as_tensor(indices) % len(self)
        labels = [NO_LABEL] * len(at) if self.labels is None else self.labels[at].tolist()
        names = (self.names[i] for i in at.tolist())
        return [Shape(*item) for item in zip(self.batch(at), labels, names, strict=True)]

    def batch(self, indices: Tensor) -> Tensor:
        """Returns the points ``(B, P, 3)`` of the shapes ``indices`` ``(B,)``."""
        return self.storage.read(self.rows[indices])

    def part_labels(self, indices: Tensor) -> Tensor | None:
        """Returns the part of each point ``(B, P)`` uint8, or None where parts are not known."""
        return self.storage.read_parts(self.rows[indices])

    def counts(self) -> dict[str, int]:
        """Returns how many shapes each class has; empty without labels."""
        if self.labels is None:
            return {}
        counts = torch.bincount(self.labels, minlength=len(self.class_names))
        return dict(zip(self.class_names, counts.tolist(), strict=True))

    def load(self) -> "PointDataset":
        """Returns the dataset with its points (and their parts) in memory."""
        if self.storage.in_memory:
            return self
        everything = torch.arange(len(self))
        storage = MemoryStorage(self.batch(everything), self.part_labels(everything))
        return self._with(storage, self.labels, self.names, everything)

    def subset(self, indices: Tensor | Sequence[int]) -> "PointDataset":
        """Returns the shapes ``indices``, which share the storage of this dataset."""
        at = torch.as_tensor(indices, dtype=torch.int64)
        if at.numel() and not (int(at.min()) >= 0 and int(at.max()) < len(self)):
            raise IndexError(
                f"indices from {int(at.min())} to {int(at.max())} of a dataset of {len(self)}"
            )
        labels = None if self.labels is None else self.labels[at]
        names = [self.names[i] for i in at.tolist()]
        return self._with(self.storage, labels, names, self.rows[at])

    def with_points(self, points: Tensor) -> "PointDataset":
        """Returns the same shapes with other points ``(N, P, 3)``, for instance turned ones."""
        if len(points) != len(self):
            raise ValueError(f"{len(self)} shapes need as many rows of points, got {len(points)}")
        return self._with(MemoryStorage(points), self.labels, self.names, torch.arange(len(self)))

    def relabelled(self, class_names: Sequence[str]) -> "PointDataset":
        """Returns the shapes labelled in the order of these classes.

        Raises:
            ValueError: no labels, or a class that has shapes and is not among them.
        """
        if self.labels is None:
            raise ValueError("relabelled needs labels, and this dataset has none")
        place = {name: label for label, name in enumerate(class_names)}
        missing = {name for name, count in self.counts().items() if count} - set(place)
        if missing:
            raise ValueError(
                f"{self.title} has shapes of the class {min(missing)!r}, which is none of "
                f"{', '.join(class_names)}; name data of these classes"
            )
        new = torch.tensor([place.get(name, NO_LABEL) for name in self.class_names])
        same = self._with(self.storage, self.labels, self.names, self.rows)
        same.labels, same.class_names = new[self.labels], tuple(class_names)
        return same

    def _with(
        self, storage: Storage, labels: Tensor | None, names: Sequence[str], rows: Tensor
    ) -> "PointDataset":
        """Returns other shapes of which the same is known."""
        known = {"class_names": self.class_names, "up_axis": self.up_axis, "source": self.source}
        return PointDataset(storage, labels, names, rows=rows, **known)  # type: ignore[arg-type]

    def select_classes(self, class_names: Sequence[str]) -> "PointDataset":
        """Returns the shapes of some classes, labelled anew in the order given."""
        if self.labels is None:
            raise ValueError("select_classes needs labels, and this dataset has none")
        missing = [name for name in class_names if name not in self.class_names]
        if missing:
            raise ValueError(f"no class {missing[0]!r} among {', '.join(self.class_names)}")
        new = torch.full((len(self.class_names),), NO_LABEL)
        new[[self.class_names.index(name) for name in class_names]] = torch.arange(len(class_names))
        chosen = self.subset((new[self.labels] != NO_LABEL).nonzero().flatten())
        assert chosen.labels is not None
        chosen.labels, chosen.class_names = new[chosen.labels], tuple(class_names)
        return chosen


def numbered_classes(count: int) -> tuple[str, ...]:
    """Returns what so many classes are called that have no names.

    Example:
        >>> numbered_classes(2)
        ('class 0', 'class 1')
    """
    return tuple(f"class {label}" for label in range(count))


def _checked_labels(
    labels: Tensor | Sequence[int] | np.ndarray | None, count: int, class_names: tuple[str, ...]
) -> Tensor | None:
    if labels is None:
        return None
    checked = torch.as_tensor(labels, dtype=torch.int64)
    if checked.shape != (count,):
        raise ValueError(f"{count} shapes need ({count},) labels, got {tuple(checked.shape)}")
    if not count:
        return checked
    low, high = int(checked.min()), int(checked.max())
    if low < 0 or high >= len(class_names):
        worst = low if low < 0 else high
        raise ValueError(f"label {worst} has no name among {len(class_names)} class names")
    return checked


def _checked_axis(up_axis: UpAxis | None) -> UpAxis | None:
    if up_axis is not None and up_axis not in UP_AXES:
        raise ValueError(f"up_axis must be 'x', 'y', 'z' or None, got {up_axis!r}")
    return up_axis


def _check_names(names: list[str], count: int) -> None:
    if len(names) != count:
        raise ValueError(f"{count} shapes need {count} names, got {len(names)}")
    if len(set(names)) < count:
        first: dict[str, int] = {}
        for row, name in enumerate(names):
            if name in first:
                raise ValueError(f"duplicate name {name!r}: shapes {first[name]} and {row}")
            first[name] = row
