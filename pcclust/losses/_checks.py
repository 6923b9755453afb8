"""What losses ask of their input."""

from torch import Tensor


def check_views(z1: Tensor, z2: Tensor) -> None:
    """Refuses outputs that are not two views of the same at least two shapes.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ, are not ``(B, C)``, or have B < 2.
    """
    for name, z in (("z1", z1), ("z2", z2)):
        if not z.is_floating_point():
            raise TypeError(f"{name} must be floating, got {z.dtype}")
    if z1.dim() != 2 or z1.shape != z2.shape or len(z1) < 2:
        raise ValueError(
            f"z1 and z2 must both be (B, C) with B >= 2, got {tuple(z1.shape)} and "
            f"{tuple(z2.shape)}"
        )


def check_assignments(**assignments: Tensor) -> None:
    """Refuses what are not soft assignments of one set of shapes to at least two clusters.

    Raises:
        TypeError: not floating.
        ValueError: shapes that differ or are not ``(B, K)`` with B >= 1 and K >= 2.
    """
    shapes = [tuple(p.shape) for p in assignments.values()]
    for name, p in assignments.items():
        if not p.is_floating_point():
            raise TypeError(f"{name} must be floating, got {p.dtype}")
    first = shapes[0]
    if len(set(shapes)) > 1 or len(first) != 2 or first[0] < 1 or first[1] < 2:
        raise ValueError(
            f"{' and '.join(assignments)} must be (B, K) with B >= 1 and K >= 2, got "
            f"{' and '.join(map(str, shapes))}"
        )
