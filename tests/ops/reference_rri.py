"""RRI by double loops over the formulas, in float64, sharing nothing with the package."""

import itertools
import math

import numpy as np


def reference_rri(points, k, center="centroid", direction=1e-7, tolerance=1e-6):
    """Returns features (N, k, 4), neighbors (N, k) and successors (N, k) of one cloud."""
    raw = np.asarray(points, dtype=np.float64)
    middle = raw.mean(axis=0) if center == "centroid" else np.zeros(3)
    p = raw - middle
    radius = max(np.linalg.norm(x) for x in p)
    count = len(p)
    features = np.zeros((count, k, 4))
    neighbors = np.zeros((count, k), dtype=np.int64)
    successors = np.full((count, k), -1)
    for i in range(count):
        others = [j for j in range(count) if j != i]
        others.sort(key=lambda j: (_squared(points[j], points[i]), j))
        neighbors[i] = others[:k]
        r = np.linalg.norm(p[i])
        features[i, :, 0] = r
        projections = {}
        for column, j in enumerate(others[:k]):
            features[i, column, 1] = np.linalg.norm(p[j])
            if r <= direction * radius or features[i, column, 1] <= direction * radius:
                continue
            n = p[i] / r
            features[i, column, 2] = math.atan2(np.linalg.norm(np.cross(n, p[j])), n @ p[j])
            projected = p[j] - (n @ p[j]) * n
            if np.linalg.norm(projected) > direction * features[i, column, 1]:
                projections[column] = projected
        if projections:
            gaps, follows = _gaps(p[i] / r, projections, tolerance)
            for column in projections:
                features[i, column, 3] = gaps[column]
                successors[i, column] = follows[column]
    return features, neighbors, successors


def _squared(a, b):
    difference = np.asarray(a) - np.asarray(b)  # in the dtype of the points, as documented
    x, y, z = difference * difference
    return (x + y) + z


def _angle(n, start, end):
    """The angle from start to end about n in [0, 2π)."""
    psi = math.atan2(n @ np.cross(start, end), start @ end)
    return psi if psi >= 0 else psi + 2 * math.pi


def _gaps(n, projections, tolerance):
    columns = sorted(projections)
    groups = _connected(n, projections, columns, tolerance)
    gaps, follows = {}, {}
    for group in groups:
        for one, following in itertools.pairwise(group):
            gaps[one], follows[one] = 0.0, following
        last = group[-1]
        away = [(_angle(n, projections[group[0]], projections[g[0]]), g[0]) for g in groups]
        away = [entry for entry in away if entry[1] != group[0]]
        gaps[last], follows[last] = min(away) if away else (2 * math.pi, group[0])
    return gaps, follows


def _connected(n, projections, columns, tolerance):
    """Groups of columns chained by angles within the tolerance, each in order of column."""
    groups = []
    for column in columns:
        close = [
            g
            for g in groups
            if any(
                min(
                    _angle(n, projections[column], projections[other]),
                    _angle(n, projections[other], projections[column]),
                )
                <= tolerance
                for other in g
            )
        ]
        groups = [g for g in groups if g not in close]
        groups.append(sorted([column, *(c for g in close for c in g)]))
    return groups
