"""Rebuilds one cloud from neighbourhoods that are known up to a rotation each."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

# What a neighbour of uncertain azimuth (tied with a nearer one, or on the axis) counts for, beside
# others: its error, the tolerance of the azimuths, disappears; alone it still places a point.
UNCERTAIN = 1e-6
# A frame is turned into place when the points already placed are spread at least this fraction as
# wide (in squares) as all its points; less is taken only when no frame has as much.
WIDE_ENOUGH = 0.25
# Passes over all frames after the growth; each lowers what rounding added on the way.
REFINEMENTS = 2


class Frames(NamedTuple):
    """Each point's neighbourhood in a frame of its own.

    Attributes:
        members: ``(N, k + 1)`` the point and its neighbours.
        local: ``(N, k + 1, 3)`` where they are in the frame.
        weights: ``(N, k + 1)`` what each counts for; 0 at the centre, where there is no direction.
        central: ``(N,)`` whether a point is at the centre and so has no frame.
        spread: ``(N,)`` second eigenvalue of the weighted second moment of the frame.
        flat: ``(N,)`` whether no neighbour has an azimuth: one direction places such a frame.
    """

    members: Integers
    local: Floats
    weights: Floats
    central: Booleans
    spread: Floats
    flat: Booleans


def glue(features: Floats, neighbors: Integers, successors: Integers, tolerance: float) -> Floats:
    """Returns the ``(N, 3)`` points of a cloud from its RRI code.

    Args:
        features: ``(N, k, 4)``.
        neighbors: ``(N, k)``.
        successors: ``(N, k)``.
        tolerance: the `DIRECTION_TOLERANCE` of the arithmetic that made the features.

    Raises:
        ValueError: the code is damaged or does not determine the cloud.
    """
    _check_range(neighbors, 0, len(features), "neighbors")
    _check_range(successors, -1, features.shape[1], "successors")
    features, exponent = _brought_near(features)
    frames = _frames(features, neighbors, successors, tolerance)
    points, trust = _grow(frames, tolerance)
    if not (trust > 0).all():
        raise ValueError(_why_not(neighbors, int((trust == 0).sum())))
    turned = np.flatnonzero(~frames.central)
    for _ in range(REFINEMENTS):
        rotations = _rotations(frames, turned, points, trust)
        points = _means(*_predictions(frames, turned, rotations))
    return np.ldexp(points, exponent)


def _brought_near(features: Floats) -> tuple[Floats, int]:
    """Scales lengths by a power of two, which rounds nothing, so that their squares fit.

    Returns:
        The features, none longer than 1, and the exponent by which points are scaled back.
    """
    exponent = int(np.frexp(features[..., :2].max(initial=0.0))[1])
    lengths = np.ldexp(features[..., :2], -exponent)
    return np.concatenate([lengths, features[..., 2:]], axis=-1), exponent


def _check_range(links: Integers, low: int, high: int, name: str) -> None:
    bad = np.argwhere((links < low) | (links >= high))
    if len(bad):
        i, column = bad[0]
        raise ValueError(
            f"{name}[{i}, {column}]={links[i, column]} is not between {low} and {high - 1}"
        )


def _frames(
    features: Floats, neighbors: Integers, successors: Integers, tolerance: float
) -> Frames:
    radii, polar = features[:, 0, 0], features[..., 2]
    azimuths, uncertain = _azimuths(features[..., 3], successors)
    sine = np.where(successors >= 0, np.sin(polar), 0.0)
    directions = [sine * np.cos(azimuths), sine * np.sin(azimuths), np.cos(polar)]
    nothing = np.zeros_like(radii)
    own = np.stack([nothing, nothing, radii], axis=-1)
    local = np.stack(directions, axis=-1) * features[..., 1, None]
    local = np.concatenate([own[:, None], local], axis=1)
    members = np.concatenate([np.arange(len(radii))[:, None], neighbors], axis=1)
    # A little wider than `rri` draws it: rounding must not give a frame to a point without.
    central: Booleans = np.asarray(radii <= tolerance * (1 + 1e-6) * radii.max())
    weights = np.where(np.pad(uncertain, ((0, 0), (1, 0))), UNCERTAIN, 1.0)
    weights[central[members]] = 0.0
    spread = _second_moments(local, weights)
    return Frames(
        members, local, weights, central, spread, np.asarray((successors < 0).all(axis=1))
    )


def _azimuths(gaps: Floats, successors: Integers) -> tuple[Floats, Booleans]:
    """Sums the gaps along the successors; says which azimuths are known only to the tolerance."""
    takes_part = successors >= 0
    azimuths = np.zeros_like(gaps)
    uncertain, visited = ~takes_part, np.zeros_like(takes_part)
    rows = np.flatnonzero(takes_part.any(axis=1))
    at = np.asarray(takes_part[rows].argmax(axis=1))
    angle = np.zeros(len(rows))
    while len(rows):
        azimuths[rows, at], visited[rows, at] = angle, True
        gap, following = gaps[rows, at], successors[rows, at]
        uncertain[rows, following] = gap == 0
        go = ~visited[rows, following]
        rows, at, angle = rows[go], following[go], (angle + gap)[go]
    if (visited != takes_part).any():
        row = int(np.argwhere(visited != takes_part)[0, 0])
        raise ValueError(f"successors[{row}]={successors[row].tolist()} is not one cycle")
    return azimuths, uncertain


def _grow(frames: Frames, narrowest: float) -> tuple[Floats, Floats]:
    """Places frame after frame from the widest on.

    Returns:
        ``(N, 3)`` points, and ``(N,)`` how far they can be trusted: 0 where nothing places them, 1
        where a frame does without reserve.
    """
    trust, waiting = frames.central.astype(np.float64), ~frames.central
    totals, weights = np.zeros((len(trust), 3)), np.zeros(len(trust))
    ready = np.array([], dtype=np.int64)
    if waiting.any():
        ready = np.argmax(np.where(waiting, frames.spread, -1.0), keepdims=True)
    rotations = np.eye(3)[None]
    while len(ready):
        waiting[ready] = False
        more, weight = _predictions(frames, ready, rotations)
        totals, weights = totals + more, weights + weight
        trust = np.where(frames.central, 1.0, np.minimum(weights, 1.0))
        ready = _ready(frames, waiting, trust, narrowest)
        rotations = _rotations(frames, ready, _means(totals, weights), trust)
    return _means(totals, weights), trust


def _ready(frames: Frames, waiting: Booleans, trust: Floats, narrowest: float) -> Integers:
    """Returns the frames to place next: those whose placed points are spread wide enough."""
    placed = (frames.weights > 0) & (trust[frames.members] > 0)
    enough = np.where(frames.flat, 1, 2)
    candidates = np.flatnonzero(waiting & (placed.sum(axis=1) >= enough))
    fraction = _fractions(frames, candidates, placed * frames.weights)
    candidates = candidates[fraction >= narrowest]
    if len(candidates) == 0:
        return candidates
    # Among what can be placed, what stands on certain points goes first.
    fraction = _fractions(frames, candidates, trust[frames.members] * frames.weights)
    return np.asarray(candidates[fraction >= min(WIDE_ENOUGH, fraction.max() * WIDE_ENOUGH)])


def _fractions(frames: Frames, which: Integers, weights: Floats) -> Floats:
    """Returns how widely the weighted points of frames are spread, relative to all of them."""
    spread = _second_moments(frames.local[which], weights[which])
    flat = frames.flat[which]
    return np.where(flat, 1.0, spread / np.where(flat, 1.0, frames.spread[which]))


def _second_moments(local: Floats, weights: Floats) -> Floats:
    """Returns the second eigenvalues of Σ w x xᵀ: 0 where all points are in one direction."""
    moments = np.einsum("nk,nki,nkj->nij", weights, local, local, optimize=True)
    return np.linalg.eigvalsh(moments)[:, 1].clip(min=0.0)


def _rotations(frames: Frames, which: Integers, points: Floats, trust: Floats) -> Floats:
    """Returns the proper rotations that bring frames nearest to the placed points (Kabsch)."""
    members = frames.members[which]
    targets = points[members] * (frames.weights[which] * trust[members])[..., None]
    u, _, vt = np.linalg.svd(targets.transpose(0, 2, 1) @ frames.local[which])
    u[:, :, 2] *= np.sign(np.linalg.det(u @ vt))[:, None]
    return np.asarray(u @ vt)


def _predictions(frames: Frames, which: Integers, rotations: Floats) -> tuple[Floats, Floats]:
    """Sums, for every point, where the frames place it, and their weights."""
    count = len(frames.members)
    members, weights = frames.members[which].ravel(), frames.weights[which].ravel()
    turned = (frames.local[which] @ rotations.transpose(0, 2, 1)).reshape(-1, 3)
    *totals, total = (
        np.bincount(members, part, count) for part in (*(weights * turned.T), weights)
    )
    return np.stack(totals, axis=-1), np.asarray(total, dtype=np.float64)


def _means(totals: Floats, weights: Floats) -> Floats:
    return totals / np.where(weights > 0, weights, 1.0)[:, None]


def _why_not(neighbors: Integers, missing: int) -> str:
    # Only a failure needs them, and importing them takes longer than the rest of pcclust.
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    count, k = neighbors.shape
    ends = (np.ones(count * k, bool), neighbors.ravel(), np.arange(0, count * k + 1, k))
    components = connected_components(csr_array(ends, shape=(count, count)), directed=False)[0]
    if components > 1:
        return (
            f"its kNN graph (k={k}) is not connected but has {components} components, whose "
            "places relative to each other the code does not hold; encode with a larger k"
        )
    return (
        f"its kNN graph (k={k}) is connected, but {missing} of its {count} points are out of "
        "reach: no neighbourhood there shares two directions with those already placed; encode "
        "with a larger k"
    )
