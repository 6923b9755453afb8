"""k-means from the formulas, in float64 and plain loops: slow, and independent of the package."""

import numpy as np


def squared_distance(a, b):
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True))


def nearest(points, centers):
    """Labels (the lowest of equally near centers) and squared distances."""
    table = [[squared_distance(p, c) for c in centers] for p in points]
    labels = [min(range(len(centers)), key=row.__getitem__) for row in table]
    return np.array(labels), np.array([row[j] for row, j in zip(table, labels, strict=True)])


def greedy_seeds(points, weights, uniforms, first):
    """The indices that greedy k-means++ chooses from the given point on."""
    chosen = [first]
    closest = [squared_distance(p, points[first]) for p in points]
    for row in uniforms:
        masses = [w * d for w, d in zip(weights, closest, strict=True)]
        trials = [_draw(masses, float(u)) for u in row]
        distances = [[squared_distance(p, points[t]) for p in points] for t in trials]
        updates = [[min(a, b) for a, b in zip(closest, d, strict=True)] for d in distances]
        potentials = [sum(w * d for w, d in zip(weights, u, strict=True)) for u in updates]
        best = potentials.index(min(potentials))
        chosen.append(trials[best])
        closest = updates[best]
    return chosen


def _draw(masses, uniform):
    total = sum(masses)
    if total == 0:
        return int(uniform * len(masses))
    rest = uniform * total
    for i, mass in enumerate(masses):
        if mass > 0 and rest < mass:
            return i
        rest -= mass
    return max(i for i, mass in enumerate(masses) if mass > 0)


def lloyd(points, weights, centers, iterations):
    """Centers after some iterations in which no cluster becomes empty."""
    centers = [list(map(float, c)) for c in centers]
    for _ in range(iterations):
        labels, _ = nearest(points, centers)
        for j in range(len(centers)):
            members = [i for i in range(len(points)) if labels[i] == j]
            mass = sum(float(weights[i]) for i in members)
            for d in range(len(centers[j])):
                total = sum(float(weights[i]) * float(points[i][d]) for i in members)
                centers[j][d] = total / mass
    return np.array(centers)
