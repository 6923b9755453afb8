"""How many clusters: criteria that read no label, as a curve over the number."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from pcclust.cluster._inputs import Data, as_points
from pcclust.cluster.contingency import contingency_table
from pcclust.cluster.kmeans import KMeans
from pcclust.cluster.metrics import adjusted_rand_index
from pcclust.cluster.silhouette import silhouette

# A clustering is supported where it predicts held-out pairs this well: the paper's 0.8 to 0.9.
SUPPORTED = 0.8
SILHOUETTE = "silhouette"  # what decides where none is


class CurvePoint(NamedTuple):
    """What speaks for a number of clusters.

    Attributes:
        n_clusters: the number.
        silhouette: mean width of the clustering of all items, from -1 to 1; higher is better.
        prediction_strength: mean over halvings, from 0 to 1; see `number_of_clusters`.
        agreement: mean adjusted Rand index between the clusterings of two seeds, at most 1.
    """

    n_clusters: int
    silhouette: float
    prediction_strength: float
    agreement: float


@dataclass(frozen=True)
class NumberOfClusters:
    """A curve, and the number that it speaks for.

    Attributes:
        curve: a point for each candidate, in rising order.
        best: the candidate chosen.
        criterion: by which it was: "prediction strength", or "silhouette" where no candidate has
            enough of that.
    """

    curve: tuple[CurvePoint, ...]
    best: int
    criterion: str

    @property
    def doubts(self) -> list[str]:
        """What speaks against the number chosen, in sentences."""
        said = []
        if self.criterion == SILHOUETTE:
            said.append(
                f"No number has a prediction strength of {SUPPORTED:g}: halves of the data do not "
                "agree on clusters, so the silhouette alone decides."
            )
        numbers = [point.n_clusters for point in self.curve]
        if len(numbers) > 1 and self.best == numbers[-1]:
            said.append(f"{self.best} is the largest number compared: more may suit better.")
        if len(numbers) > 1 and self.best == numbers[0] > 2:
            said.append(f"{self.best} is the smallest number compared: fewer may suit better.")
        return said


def number_of_clusters(
    features: Data,
    candidates: Sequence[int],
    *,
    repeats: int = 5,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> NumberOfClusters:
    """Compares numbers of clusters by three criteria, none of which knows a label.

    Prediction strength: items are halved; each half is clustered; the centers of one half classify
    the other, and of the pairs in a cluster of the other half the fraction that they keep together
    is taken, for the cluster where it is least. The largest number with a mean of at least 0.8 is
    chosen (the paper's rule); where no number has that, the one of the largest silhouette.

    The limits: all three reward clusters that are far apart. They find levels of a hierarchy that
    differ much (furniture against vehicles) rather than fine classes, and know nothing of what a
    user counts as a kind. Look at the curve, not at the number alone.

    Args:
        features: ``(N, D)``, a tensor or an array, prepared as they will be clustered.
        candidates: numbers of clusters, each from 2 to half the items.
        repeats: halvings, and seeds that are compared in pairs; at least 2.
        seed: of all draws; the same seed gives the same curve.
        advance: called after each candidate.

    Returns:
        The curve and the number chosen.

    Raises:
        TypeError: wrong types or dtypes.
        ValueError: wrong shapes, NaN or inf, no candidate, one outside 2 to N / 2, or too few
            repeats.

    Source: Tibshirani and Walther, "Cluster Validation by Prediction Strength" (2005); Rousseeuw,
    "Silhouettes" (1987).

    Example:
        >>> import numpy as np
        >>> from pcclust.cluster import number_of_clusters
        >>> kinds = np.arange(60) % 3
        >>> blobs = np.random.default_rng(0).normal(size=(60, 4)) + 20 * np.eye(4)[kinds]
        >>> number_of_clusters(blobs, range(2, 7)).best
        3
    """
    points = as_points(features, "features")
    numbers = _checked(candidates, len(points), repeats)
    curve = []
    for number in numbers:
        curve.append(_point(points, number, repeats, seed))
        advance()
    supported = [point.n_clusters for point in curve if point.prediction_strength >= SUPPORTED]
    if supported:
        return NumberOfClusters(tuple(curve), max(supported), "prediction strength")
    widest = max(curve, key=lambda point: point.silhouette)
    return NumberOfClusters(tuple(curve), widest.n_clusters, SILHOUETTE)


def _checked(candidates: Sequence[int], count: int, repeats: int) -> list[int]:
    numbers = sorted(set(candidates))
    if not numbers:
        raise ValueError("candidates is empty: give numbers of clusters, as range(2, 21)")
    wrong = [number for number in numbers if not 2 <= number <= count // 2]
    if wrong:
        raise ValueError(
            f"candidates {', '.join(map(str, wrong))}: {count} items, halved, can be compared in "
            f"2 to {count // 2} clusters"
        )
    if repeats < 2:
        raise ValueError(f"repeats={repeats} must be at least 2, for seeds to be compared")
    return numbers


def _point(points: Tensor, number: int, repeats: int, seed: int) -> CurvePoint:
    clusterings = [_fit(points, number, seed + i).labels_.cpu().numpy() for i in range(repeats)]
    pairs = list(combinations(clusterings, 2))
    agreement = float(np.mean([adjusted_rand_index(a, b) for a, b in pairs]))
    strengths = [_prediction_strength(points, number, seed + i) for i in range(repeats)]
    alone = len(np.unique(clusterings[0])) == 1
    width = -1.0 if alone else silhouette(points, clusterings[0], seed=seed)
    return CurvePoint(number, width, float(np.mean(strengths)), agreement)


def _prediction_strength(points: Tensor, number: int, seed: int) -> float:
    order = torch.randperm(len(points), generator=Generator().manual_seed(seed)).to(points.device)
    half, other = points[order[: len(points) // 2]], points[order[len(points) // 2 :]]
    theirs = _fit(half, number, seed).predict(other).cpu().numpy()
    return _kept_together(_fit(other, number, seed).labels_.cpu().numpy(), theirs)


def _kept_together(clusters: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """Returns the least fraction, over clusters, of pairs that the prediction keeps together."""
    table, _, _ = contingency_table(clusters, predicted)
    sizes = table.sum(axis=1)
    pairs = (sizes * (sizes - 1))[sizes > 1]
    kept = (table * (table - 1)).sum(axis=1)[sizes > 1]
    return float((kept / pairs).min()) if len(pairs) else 0.0


def _fit(points: Tensor, number: int, seed: int) -> KMeans:
    return KMeans(number, random_state=seed).fit(points)
