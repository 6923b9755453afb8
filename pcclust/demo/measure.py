"""Measures what RRI guarantees: equal features in any orientation, the shape from them, speed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation
from torch import Tensor

from pcclust.evaluate.invariance import rri_invariance
from pcclust.ops import rri, rri_decode, rri_encode


@dataclass(frozen=True)
class Invariance:
    """How much rotations change the features of some shapes, in one floating type.

    Attributes:
        changes: ``(S,)`` the largest change of a feature of each shape, in radians or radii, over
            the points that kept their neighbours and their order.
        typical: the median over the shapes of their points' median change.
        fraction_changed: the fraction of points whose neighbours, or their order, rounding changed.
        comparisons: points times rotations times shapes.
    """

    changes: NDArray[np.float64]
    typical: float
    fraction_changed: float
    comparisons: int


@dataclass(frozen=True)
class Reconstruction:
    """How well shapes come back from their code.

    Attributes:
        errors: ``(D,)`` root mean square distance of the decoded from the original points, in
            radii, after the one rotation that fits best (never a reflection).
        refused: the reasons why the other shapes cannot be decoded.
    """

    errors: NDArray[np.float64]
    refused: tuple[str, ...]


def measure_invariance(
    clouds: Tensor, k: int, rotations: Tensor, advance: Callable[[], object] = lambda: None
) -> Invariance:
    """Compares the features of clouds with those of the same clouds, turned.

    Args:
        clouds: ``(S, N, 3)``; their dtype is the one that is tested.
        k: neighbours of a point.
        rotations: ``(R, 3, 3)``.
        advance: called after each cloud.

    Returns:
        What `rri_invariance` says of each cloud, taken together.

    Raises:
        TypeError: as for `rri_invariance`.
        ValueError: as for `rri_invariance`.

    Example:
        >>> import torch
        >>> from pcclust.data.rotations import random_rotations
        >>> clouds = torch.randn(2, 50, 3, dtype=torch.float64)
        >>> found = measure_invariance(clouds, 8, random_rotations(3, dtype=torch.float64))
        >>> found.changes.shape, found.comparisons
        ((2,), 300)
    """
    reports = []
    for cloud in clouds:
        reports.append(rri_invariance(cloud, k, rotations))
        advance()
    return Invariance(
        changes=np.array([report.max_change for report in reports]),
        typical=median(report.median_change for report in reports),
        fraction_changed=float(np.mean([report.fraction_changed for report in reports])),
        comparisons=sum(report.comparisons for report in reports),
    )


def measure_reconstruction(
    clouds: Tensor, k: int, advance: Callable[[], object] = lambda: None
) -> Reconstruction:
    """Encodes and decodes clouds, and compares what comes back.

    Args:
        clouds: ``(S, N, 3)`` centred on their means.
        k: neighbours of a point.
        advance: called after each cloud.

    Returns:
        The errors of the clouds that can be decoded, and why the others cannot.

    Raises:
        TypeError: as for `rri_encode`.
        ValueError: as for `rri_encode`.

    Example:
        >>> import torch
        >>> cloud = torch.randn(1, 50, 3, dtype=torch.float64)
        >>> found = measure_reconstruction(cloud - cloud.mean(dim=1), 12)
        >>> bool(found.errors[0] < 1e-9), found.refused
        (True, ())
    """
    errors, refused = [], []
    for cloud in clouds:
        code = rri_encode(cloud, k)
        try:
            errors.append(_aligned_error(cloud.numpy(), rri_decode(code).numpy()))
        except ValueError as reason:
            refused.append(str(reason))
        advance()
    return Reconstruction(np.array(errors), tuple(refused))


def _aligned_error(cloud: NDArray[np.floating], again: NDArray[np.floating]) -> float:
    """Returns the root mean square distance after the best rotation, in radii of the cloud."""
    # The residual is taken from the points: scipy's own cancels digits.
    turn, _ = Rotation.align_vectors(cloud, again)
    apart = np.linalg.norm(cloud - turn.apply(again), axis=1)
    return float(np.sqrt(np.mean(apart**2)) / np.linalg.norm(cloud, axis=1).max())


def shapes_per_second(clouds: Tensor, k: int, seconds: float = 1.0) -> float:
    """Times `rri` of a batch on the backend in force.

    Args:
        clouds: ``(S, N, 3)``.
        k: neighbours of a point.
        seconds: for how long at least; at least two runs are timed, after one that is not.

    Returns:
        S over the median time of a run.

    Example:
        >>> import torch
        >>> shapes_per_second(torch.randn(2, 30, 3), 8, seconds=0.01) > 0
        True
    """
    rri(clouds, k)
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        start = time.perf_counter()
        rri(clouds, k)
        times.append(time.perf_counter() - start)
    return len(clouds) / median(times)


def channels(points: Tensor, k: int) -> dict[str, NDArray[np.float64]]:
    """Sums the features of each point up in five numbers that can colour it.

    Args:
        points: ``(N, 3)``.
        k: neighbours of a point.

    Returns:
        Four channels that no rotation changes, and the coordinate z, which is no feature of RRI:
        rotations change it.

    Example:
        >>> import torch
        >>> [name.split(":")[0] for name in channels(torch.randn(30, 3), 8)]
        ['rᵢ', 'rᵢₖ', 'θᵢₖ', 'φᵢₖ', 'z']
    """
    features = rri(points, k)
    return {
        "rᵢ: distance from the centroid (radii)": features[:, 0, 0].double().numpy(),
        "rᵢₖ: spread over the neighbours (radii)": features[..., 1].double().std(dim=1).numpy(),
        "θᵢₖ: mean over the neighbours (rad)": features[..., 2].double().mean(dim=1).numpy(),
        "φᵢₖ: largest gap (rad)": features[..., 3].double().amax(dim=1).numpy(),
        "z: a coordinate, for contrast (radii)": points[:, 2].double().numpy(),
    }
