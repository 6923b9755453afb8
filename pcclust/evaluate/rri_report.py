"""Measures what RRI promises: the same features in any orientation, the shape from them, speed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from pcclust.evaluate.invariance import rri_invariance
from pcclust.ops import rri, rri_decode, rri_encode, use_backend
from pcclust.ops._registry import TIERS, why_missing

DTYPES = (torch.float32, torch.float64)
TIER_NAMES = {"torch": "torch", "cpu": "native CPU", "cuda": "CUDA"}
CLOUDS_AT_ONCE = 16  # bounds the memory, and how seldom progress is told


@dataclass(frozen=True)
class Invariance:
    """How much rotations change the features of some shapes, in one floating type.

    Attributes:
        changes: ``(S,)`` the largest change of a feature of each shape, in radians or radii, over
            the points whose neighbours and their order stayed the same.
        changed_points: the share of points whose neighbours or their order rounding changed.
    """

    changes: NDArray[np.float64]
    changed_points: float


def measure_invariance(
    clouds: Tensor, k: int, rotations: Tensor, advance: Callable[[int], None]
) -> Invariance:
    """Compares the features of clouds with those of the turned clouds.

    Args:
        clouds: ``(S, N, 3)``, farthest point at radius 1; their dtype is what is tested.
        k: neighbours of a point.
        rotations: ``(R, 3, 3)``.
        advance: is told after how many more clouds.
    """
    changes, changed = [], []
    for cloud in clouds:
        report = rri_invariance(cloud, k, rotations)
        changes.append(report.max_change)
        changed.append(report.changed_share)
        advance(1)
    return Invariance(np.array(changes), float(np.mean(changed)))
