"""RRI by loops over the formulas, in Python floats, sharing nothing with the package."""

import math
from itertools import pairwise

import numpy as np


def reference_rri(points, k, center="centroid", direction=1e-7, tolerance=1e-6):
    """Returns features (N, k, 4), neighbors (N, k) and successors (N, k) of one float64 cloud."""
    raw = [tuple(map(float, point)) for point in points]
    count = len(raw)
    middle = [math.fsum(p[axis] for p in raw) / count for axis in range(3)]
    if center == "origin":
        middle = [0.0, 0.0, 0.0]
    p = [_minus(point, middle) for point in raw]
    radius = max(map(_norm, p))
    features, neighbors, successors = [], [], []
    for i in range(count):
        others = [j for j in range(count) if j != i]
        nearest = sorted(others, key=lambda j: (_dot(*[_minus(raw[j], raw[i])] * 2), j))[:k]
        rows = [[_norm(p[i]), _norm(p[j]), 0.0, 0.0] for j in nearest]
        follows = [-1] * k
        projections = {}
        for column, j in enumerate(nearest):
            if _norm(p[i]) <= direction * radius or _norm(p[j]) <= direction * radius:
                continue
            n = [x / _norm(p[i]) for x in p[i]]
            rows[column][2] = math.atan2(_norm(_cross(n, p[j])), _dot(n, p[j]))
            # T_i(p_ik) = T_i(p_ik - p_i), as T_i(p_i) = 0; the difference loses no digits.
            edge = _minus(raw[j], raw[i])
            projected = _minus(edge, [_dot(edge, n) * x for x in n])
            if _norm(projected) > direction * _norm(p[j]):
                projections[column] = projected
        for column, gap, following in _gaps(p[i], projections, tolerance):
            rows[column][3], follows[column] = gap, following
        features.append(rows)
        neighbors.append(nearest)
        successors.append(follows)
    return np.array(features), np.array(neighbors), np.array(successors)


def _gaps(axis, projections, tolerance):
    """Yields (column, gap, successor) of the neighbours that have an azimuth."""
    psi = {
        (one, other): _angle(axis, projections[one], projections[other])
        for one in projections
        for other in projections
    }
    groups = []
    for column in projections:
        close = [
            group
            for group in groups
            if any(min(psi[column, c], psi[c, column]) <= tolerance for c in group)
        ]
        groups = [group for group in groups if group not in close]
        groups.append(sorted([column, *(c for group in close for c in group)]))
    for group in groups:
        for one, following in pairwise(group):
            yield one, 0.0, following
        nexts = [(psi[group[0], other[0]], other[0]) for other in groups if other is not group]
        yield group[-1], *(min(nexts) if nexts else (2 * math.pi, group[0]))


def _angle(axis, start, end):
    """The angle from start to end counter-clockwise about the axis, in [0, 2π)."""
    sine = _dot(axis, _cross(start, end)) / _norm(axis)
    psi = math.atan2(sine, _dot(start, end))
    return psi if psi >= 0 else psi + 2 * math.pi


def _minus(a, b):
    return (a[0] - b[0], a[1] - b[1], a[2] - b[2])


def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a, b):
    return (a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0])


def _norm(a):
    return math.sqrt(_dot(a, a))
