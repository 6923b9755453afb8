"""Where the points of a dataset are kept."""

from typing import Protocol

from torch import Tensor

from pcclust.data.precision import in_float32


class Storage(Protocol):
    """Where points are kept: in memory, in HDF5 files or in one file per shape.

    Attributes:
        num_points: the points of every shape.
        block: how many neighbouring shapes are read at the price of one; 1 where any order is
            equally fast.
        in_memory: whether reading costs no more than copying.
    """

    num_points: int
    block: int
    in_memory: bool

    def __len__(self) -> int:
        """The number of shapes."""
        ...

    def read(self, rows: Tensor) -> Tensor:
        """Returns the points ``(B, P, 3)`` of the shapes ``rows`` ``(B,)``, see `in_float32`."""
        ...

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns the part of each point ``(B, P)`` uint8, or None where parts are not known."""
        ...


class MemoryStorage:
    """Points in one tensor ``(N, P, 3)``; those that are read must be finite."""

    block = 1
    in_memory = True

    def __init__(self, points: Tensor, parts: Tensor | None = None) -> None:
        if points.dim() != 3 or points.shape[2] != 3:
            raise ValueError(f"points must be (N, P, 3), got {tuple(points.shape)}")
        self.points = in_float32(points)
        self.parts = parts
        self.num_points = points.shape[1]

    def __len__(self) -> int:
        return self.points.shape[0]

    def read(self, rows: Tensor) -> Tensor:
        """Returns copies of the shapes ``rows``."""
        points = self.points.index_select(0, rows)
        refuse_not_finite(points, rows)
        return points

    def read_parts(self, rows: Tensor) -> Tensor | None:
        """Returns the part of each point of the shapes ``rows``."""
        return None if self.parts is None else self.parts.index_select(0, rows)


def refuse_not_finite(points: Tensor, rows: Tensor) -> None:
    """Raises ValueError at the first of some points ``(B, P, 3)`` that has a NaN or inf.

    Args:
        points: of the shapes.
        rows: ``(B,)`` which shapes these are, for the message.
    """
    if bool(points.sum().isfinite()):  # finite sums have finite terms, and take no memory
        return
    wrong = (~points.isfinite().all(dim=2)).nonzero()
    if len(wrong):
        shape, point = wrong[0].tolist()
        raise ValueError(
            f"shape {int(rows[shape])}, point {point} is not finite: "
            f"{points[shape, point].tolist()}"
        )
