"""Measures clusterings of the same shapes, with and without labels, as they stand and turned."""

from collections.abc import Sequence
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from pcclust.cluster import ClusterMap, fit_cluster_map, silhouette
from pcclust.cluster.metrics import size_perplexity
from pcclust.evaluate.cluster_methods import Clustering
from pcclust.evaluate.cluster_runs_report import Assigned, MeasuredRun
from pcclust.evaluate.clustering import agreement
from pcclust.evaluate.posed_features import Posed

Ints = NDArray[np.int64]


def measured_run(
    clustering: Clustering,
    fitted: Posed,
    labels: Ints | None = None,
    test: Posed | None = None,
    test_labels: Ints | None = None,
    *,
    name: str = "",
    seed: int = 0,
    n_clusters: int | None = None,
    sizes: Ints | None = None,
    keep_space: bool = False,
) -> MeasuredRun:
    """Measures a clustering.

    Clusters are mapped to classes once, by the fitted shapes as they stand; turned shapes and test
    shapes are measured by that map. Without labels what needs them is left out.

    Args:
        clustering: of the fitted shapes as they stand, and its rule for others.
        fitted: features of the shapes that it was fitted on, or is shown in their place.
        labels: ``(N,)`` classes of these.
        test: features of held-out shapes.
        test_labels: ``(M,)`` classes of these.
        name: where it is from.
        seed: of the run.
        n_clusters: that it has; by default as many as it gives shapes.
        sizes: ``(E, K)`` of its clusters after each epoch, where that is known.
        keep_space: whether the features of the fitted shapes are kept, for a page.

    Example:
        >>> import numpy as np
        >>> from pcclust.evaluate.cluster_methods import METHODS
        >>> features = np.array([[0.0], [1], [9], [10]])
        >>> found = METHODS["kmeans"].run(features, 2, 0)
        >>> run = measured_run(found, Posed(features, [features + 5]), np.array([0, 0, 1, 1]))
        >>> run.measures["fitted"]["accuracy"], run.measures["fitted_turned"]["accuracy"]
        (1.0, 0.5)
    """
    ours = Assigned(clustering.clusters, _each(clustering, fitted.turned, len(fitted.upright)))
    count = n_clusters or int(clustering.clusters.max()) + 1
    mapping = None if labels is None else fit_cluster_map(labels, ours.upright)
    measures = {"fitted": agreement(labels, ours.upright, mapping) | _alone(ours, fitted, count)}
    if len(fitted.turned):
        measures["fitted_turned"] = _turned(ours, labels, mapping)
    theirs = None
    if test is not None:
        turned = _each(clustering, test.turned, len(test.upright))
        theirs = Assigned(clustering.predict(test.upright), turned)
        measures["test"] = agreement(test_labels, theirs.upright, mapping)
        if len(test.turned):
            measures["test_turned"] = _turned(theirs, test_labels, mapping)
    space = fitted.upright if keep_space else None
    return MeasuredRun(name, seed, count, ours, theirs, measures, sizes, space)


def _each(clustering: Clustering, turned: Sequence[NDArray[np.floating]], count: int) -> Ints:
    if not len(turned):
        return np.empty((0, count), np.int64)
    return np.stack([clustering.predict(features) for features in turned])


def _alone(ours: Assigned, fitted: Posed, count: int) -> dict[str, float]:
    """Measures what needs no label."""
    found = len(np.unique(ours.upright))
    told = {"silhouette": silhouette(fitted.upright, ours.upright)} if found > 1 else {}
    perplexity = size_perplexity(ours.upright)
    return told | {"size_perplexity": perplexity, "empty": float(count - found)}


def _turned(found: Assigned, labels: Ints | None, mapping: ClusterMap | None) -> dict[str, float]:
    """Returns means over the rounds, and how many shapes are in one cluster however they stand."""
    rounds = [agreement(labels, clusters, mapping) for clusters in found.turned]
    told = {name: mean(measures[name] for measures in rounds) for name in rounds[0]}
    stays = (found.turned == found.upright).all(axis=0)
    return told | {"consistency": float(stays.mean())}
