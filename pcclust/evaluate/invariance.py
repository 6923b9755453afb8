"""How far features move when the cloud is turned."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pcclust.ops import RRICode, rri_encode
from pcclust.ops._arrays import to_tensor
from pcclust.ops.rri import Center

CLOUDS_AT_ONCE = 32  # turned clouds, of which the kernel describes several side by side


class InvarianceReport(NamedTuple):
    """What `rri_invariance` returns.

    Attributes:
        max_change: the largest change of any feature, lengths in units of the radius of the cloud
            and angles in radians, over the points that kept their neighbours and their order.
        median_change: over the same points, the median of each point's largest change.
        fraction_changed: of all points and rotations, the fraction where rounding the turned
            coordinates chose another neighbour or another order around the axis, so that
            features jump.
        comparisons: the number of points times the number of rotations.
    """

    max_change: float
    median_change: float
    fraction_changed: float
    comparisons: int


def rri_invariance(
    points: Tensor | NDArray[np.floating],
    k: int,
    rotations: Tensor | NDArray[np.floating],
    *,
    center: Center = "centroid",
) -> InvarianceReport:
    """Turns clouds and measures how much their RRI changes: in exact numbers, not at all.

    The clouds are turned in float64 about the origin and rounded once to the dtype of ``points``:
    what remains is what this rounding and the arithmetic of `rri` do.

    Args:
        points: ``(N, 3)`` one cloud or ``(B, N, 3)`` a batch.
        k: how many neighbours, as for `rri`.
        rotations: ``(R, 3, 3)`` matrices.
        center: as for `rri`.

    Returns:
        ``InvarianceReport(max_change, median_change, fraction_changed, comparisons)``; the changes
        are 0 where no point kept its neighbours.

    Raises:
        TypeError: as for `rri`.
        ValueError: as for `rri`, or the rotations are not ``(R, 3, 3)``.

    Example:
        >>> import torch
        >>> from pcclust.data.rotations import random_rotations
        >>> from pcclust.evaluate.invariance import rri_invariance
        >>> cloud = torch.randn(200, 3, dtype=torch.float64)
        >>> report = rri_invariance(cloud, 20, random_rotations(3, dtype=torch.float64))
        >>> report.max_change < 1e-9, report.fraction_changed, report.comparisons
        (True, 0.0, 600)
    """
    clouds, turns = to_tensor(points), to_tensor(rotations).double()
    if turns.dim() != 3 or turns.shape[1:] != (3, 3):
        raise ValueError(f"rotations must be (R, 3, 3), got {tuple(turns.shape)}")
    upright = rri_encode(clouds, k, center=center)
    at_once = max(1, CLOUDS_AT_ONCE // max(1, math.prod(clouds.shape[:-2])))
    changes = []
    for some in torch.split(turns.mT.to(clouds.device), at_once):
        turned = (clouds.double()[..., None, :, :] @ some).to(clouds.dtype)
        code = rri_encode(turned.flatten(0, -3), k, center=center)
        changes.append(_changes(upright, code, turned.shape[:-2]))
    change = torch.cat(changes) if changes else torch.zeros(0)
    kept = change[change.isfinite()]
    return InvarianceReport(
        max_change=float(kept.max()) if len(kept) else 0.0,
        median_change=float(kept.median()) if len(kept) else 0.0,
        fraction_changed=(len(change) - len(kept)) / max(1, len(change)),
        comparisons=len(change),
    )


def _changes(upright: RRICode, code: RRICode, turns: Sequence[int]) -> Tensor:
    """Returns each point's largest change, flat; inf where the links changed.

    Args:
        upright: of one cloud or a batch.
        code: of all turns of each of these clouds, one cloud after the other.
        turns: ``(R,)`` or ``(B, R)``, how many there are.
    """
    features, neighbors, successors = (
        getattr(upright, name).unsqueeze(-3 - (name == "features"))
        for name in ("features", "neighbors", "successors")
    )
    turned = code.features.view(*turns, *code.features.shape[1:])
    difference = (features.double() - turned.double()).abs_()
    radii = features[..., 0].double().amax(dim=(-2, -1), keepdim=True)
    difference[..., :2] /= torch.where(radii > 0, radii, 1)[..., None]
    change = difference.amax(dim=(-2, -1))
    links = (*turns, *code.neighbors.shape[1:])
    same = (neighbors == code.neighbors.view(links)) & (successors == code.successors.view(links))
    # Two neighbours follow each other in either order: only the gaps tell which comes first.
    pairs = (successors >= 0).sum(dim=-1) == 2
    swapped = pairs & (difference[..., 3] > math.pi).any(dim=-1)
    return torch.where(same.all(dim=-1) & ~swapped, change, torch.inf).flatten()
