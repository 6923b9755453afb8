"""What all losses of two views ask of their input."""

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
