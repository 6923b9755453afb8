"""The centers that one start of k-means begins from, in every way to ask for them."""

from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from pcclust.cluster._estimator import like
from pcclust.cluster._inputs import Data, as_points, unit_rows
from pcclust.cluster._magnitude import times_two_to
from pcclust.cluster.kmeans_plus_plus import Start, kmeans_plus_plus, random_points
from pcclust.cluster.lloyd import Problem

NAMED = ("k-means++", "random")


def number_of_starts(init: Any, n_init: Any) -> int:  # noqa: ANN401
    """Returns how many starts are made: of centers that are given, one can be made."""
    if not isinstance(init, str) and not callable(init):
        return 1
    if n_init != "auto":
        return int(n_init)
    return 1 if init == "k-means++" else 10


def initial_centers(
    init: Any,  # noqa: ANN401
    clusters: int,
    problem: Problem,
    exponent: int,
    given: Data,
) -> tuple[Tensor, Start | None]:
    """Returns centers ``(k, D)``, and how points are assigned to them where that is known.

    Args:
        init: as for `KMeans`.
        clusters: k.
        problem: its points are those of the user times 2⁻ᵉ.
        exponent: e.
        given: what the user gave, whose kind a function gets.

    Raises:
        TypeError: centers that are no numbers.
        ValueError: centers of another shape, with NaN or inf, or too large.
    """
    points, weights, shift, spherical, generator = problem
    if isinstance(init, str):
        if init == "random":
            start = random_points(points, weights, clusters, generator)
        else:
            start = kmeans_plus_plus(points, weights, clusters, shift, generator)
        return points[start.indices], start
    if callable(init):
        original = like(given, times_two_to(points, exponent))
        init = init(original, clusters, random_state=_random_state(generator))
    centers = as_points(init, "init", overflow=1).to(points.device, points.dtype)
    if centers.shape != (clusters, points.shape[1]):
        raise ValueError(
            f"init must be ({clusters}, {points.shape[1]}), one row for each cluster, "
            f"got {tuple(centers.shape)}"
        )
    if spherical:
        return unit_rows(centers, "init"), None
    return times_two_to(centers, -exponent), None


def _random_state(generator: Generator) -> np.random.RandomState:
    seed = int(torch.randint(1 << 32, (), generator=generator))
    return np.random.RandomState(seed)  # what functions written for scikit-learn expect
