"""Clusters features by several methods and seeds, and measures them with and without labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pcclust.cluster import (
    ClusterMap,
    adjusted_rand_index,
    class_mean_accuracy,
    clustering_accuracy,
    fit_cluster_map,
    normalized_mutual_information,
    purity,
    silhouette,
)
from pcclust.cluster._inputs import Data, as_points, equal_rows
from pcclust.cluster.contingency import Labels, as_labels
from pcclust.cluster.metrics import size_perplexity
from pcclust.evaluate.cluster_methods import METHODS, OWN, Clustering
from pcclust.evaluate.clustering_report import ClusteringReport, MethodRuns, Run

if TYPE_CHECKING:
    from pcclust.cluster import PCAWhitening


def clustering(
    features: Data,
    labels: Labels | None = None,
    *,
    n_clusters: int | None = None,
    methods: Sequence[str] = ("kmeans",),
    seeds: int = 5,
    seed: int = 0,
    whiten: int | None = None,
    l2: bool = False,
    test: tuple[Data, Labels | None] | None = None,
    about: Mapping[str, str] | None = None,
    own: Callable[[NDArray[np.floating]], NDArray[np.int64]] | None = None,
    advance: Callable[[], object] = lambda: None,
) -> ClusteringReport:
    """Clusters features by one or several methods and measures what comes out.

    Nothing is chosen by the labels: they only measure. Centres, mixtures, whitening and the map of
    clusters to classes are fitted on ``features`` and applied to ``test``.

    Args:
        features: ``(N, D)``, a tensor or an array.
        labels: ``(N,)`` classes, not negative, or None: then only what needs no labels is measured.
        n_clusters: k; the number of classes if None.
        methods: of "kmeans" (`pcclust.KMeans`), "ward" (`pcclust.ward_labels`), "self-tuning"
            (`pcclust.cluster.SelfTuningSpectral`), "spectral", "gmm" and "hdbscan" (scikit-learn:
            10 nearest neighbours; diagonal covariances; as many clusters as are dense, which noise
            joins by the nearest shape); and "own".
        seeds: runs of each method that has randomness, with the seeds ``seed``, ``seed + 1``, ….
        seed: the first seed.
        whiten: components of `PCAWhitening`, or None for none.
        l2: whether features are then brought to length one.
        test: features ``(M, D)`` and labels ``(M,)`` or None of held-out shapes; methods without a
            rule for these ("ward", "spectral", "hdbscan") give each the cluster of the nearest
            shape that they were given.
        about: what is clustered, in words, for the report.
        own: gives the clusters of features by the model that made them, the method "own".
        advance: called after each run.

    Returns:
        Measures of every run: ACC (Hungarian), class-mean ACC, NMI (arithmetic), ARI and purity
        where there are labels, silhouette (of at most 2,048 shapes against all, in the features as
        clustered; absent where all shapes are in one cluster) and the perplexity of the sizes.

    Raises:
        TypeError: wrong types or dtypes.
        ValueError: wrong shapes, NaN or inf, one shape, fewer shapes than clusters, equal
            features, neither labels nor ``n_clusters``, labels on one side only, labels of a single
            class, or an unknown method.

    Example:
        >>> import numpy as np
        >>> from pcclust.evaluate.clustering import clustering
        >>> labels = np.arange(60) % 3
        >>> blobs = np.random.default_rng(0).normal(size=(60, 4)) + 20 * np.eye(4)[labels]
        >>> report = clustering(blobs, labels, seeds=2)
        >>> report.methods[0].mean_and_deviation("accuracy")
        (1.0, 0.0)
    """
    points = as_points(features, "features").cpu().numpy()
    true = None if labels is None else as_labels(labels, "labels")
    k = _check(points, true, n_clusters, methods, seeds)
    if OWN in methods and (whiten is not None or l2):
        raise ValueError("own clusters are those of features as they are: neither whiten nor l2")
    held_out = None if test is None else _held_out(test, points, true)
    whitening = None if whiten is None else _whitening(points, whiten)
    spaces = [
        _prepared(given, whitening, l2) for given in (points, *([held_out[0]] if held_out else []))
    ]
    found = []
    for name in methods:
        runs = []
        for number in range(seed, seed + (seeds if METHODS[name].seeded else 1)):
            if name == OWN and own is not None:
                result = Clustering(own(spaces[0]), own)
            else:
                result = METHODS[name].run(spaces[0], k, number)
            runs.append(_measured(result, number, spaces, true, held_out and held_out[1]))
            advance()
        found.append(MethodRuns(name, tuple(runs)))
    settings = {"methods": list(methods), "seeds": seeds, "seed": seed, "l2": l2}
    settings["whiten"] = None if whitening is None else whitening.n_components_
    classes = None if true is None else len(np.unique(true))
    notes = _notes(found, k, classes, held_out is not None)
    return ClusteringReport(tuple(found), k, classes, spaces[0], settings, notes, dict(about or {}))


def _check(
    points: NDArray[np.floating],
    labels: NDArray[np.int64] | None,
    n_clusters: int | None,
    methods: Sequence[str],
    seeds: int,
) -> int:
    """Refuses what has no sensible answer, and returns the number of clusters."""
    count = len(points)
    if labels is not None and len(labels) != count:
        raise ValueError(f"{count} features, but {len(labels)} labels: one of each a shape")
    if count < 2:
        raise ValueError("a single shape makes no clusters: give at least two")
    if labels is not None and len(np.unique(labels)) == 1:
        raise ValueError(
            f"all {count} labels are {labels[0]}: agreement with a single class says nothing; "
            "leave the labels out and give n_clusters"
        )
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        raise ValueError(f"methods {list(methods)} must be some of {', '.join(METHODS)}")
    if seeds < 1:
        raise ValueError(f"seeds={seeds} must be at least 1")
    if n_clusters is not None:
        k = n_clusters
    elif labels is not None:
        k = len(np.unique(labels))
    else:
        raise ValueError("without labels the number of clusters is not known: give n_clusters")
    if not 1 <= k <= count:
        raise ValueError(f"{count} shapes cannot be put into {k} clusters: from 1 to {count}")
    if equal_rows(torch.from_numpy(points)):
        raise ValueError(
            f"the features of all {count} shapes are equal: there is nothing to tell them apart by"
        )
    return k


def _held_out(
    test: tuple[Data, Labels | None],
    points: NDArray[np.floating],
    labels: NDArray[np.int64] | None,
) -> tuple[NDArray[np.floating], NDArray[np.int64] | None]:
    features = as_points(test[0], "test features").cpu().numpy().astype(points.dtype)
    true = None if test[1] is None else as_labels(test[1], "test labels")
    if features.shape[1] != points.shape[1]:
        raise ValueError(
            f"test features have {features.shape[1]} dimensions, the others {points.shape[1]}: "
            "were they made by another encoder?"
        )
    if (true is None) != (labels is None):
        raise ValueError(
            "labels are needed on both sides or none: what clusters stand for is fitted on one "
            "and measured on the other"
        )
    if true is not None and len(true) != len(features):
        raise ValueError(f"{len(features)} test features, but {len(true)} test labels")
    return features, true


def _whitening(points: NDArray[np.floating], components: int) -> "PCAWhitening":
    from pcclust.cluster import (
        PCAWhitening,
    )  # scikit-learn takes a second and 110 MB: for those who need it

    return PCAWhitening(components).fit(points)


def _prepared(
    points: NDArray[np.floating], whitening: "PCAWhitening | None", l2: bool
) -> NDArray[np.floating]:
    from pcclust.cluster import unit_length

    space = points if whitening is None else whitening.transform(points)
    prepared: NDArray[np.floating] = unit_length(space) if l2 else space
    return prepared


def _measured(
    result: Clustering,
    seed: int,
    spaces: Sequence[NDArray[np.floating]],
    labels: NDArray[np.int64] | None,
    test_labels: NDArray[np.int64] | None,
) -> Run:
    mapping = None if labels is None else fit_cluster_map(labels, result.clusters)
    measures = agreement(labels, result.clusters, mapping)
    if len(np.unique(result.clusters)) > 1:
        measures["silhouette"] = silhouette(spaces[0], result.clusters)
    measures["size_perplexity"] = size_perplexity(result.clusters)
    if len(spaces) == 1:
        return Run(seed, result.clusters, measures, {})
    predicted = result.predict(spaces[1])
    on_test = agreement(test_labels, predicted, mapping)
    return Run(seed, result.clusters, measures, on_test, predicted)


def agreement(
    labels: NDArray[np.int64] | None, clusters: NDArray[np.int64], mapping: ClusterMap | None
) -> dict[str, float]:
    """Returns all measures of clusters against classes by name; none without labels.

    Args:
        labels: ``(N,)`` classes.
        clusters: ``(N,)``.
        mapping: of clusters to classes, by which accuracies are measured.
    """
    if labels is None:
        return {}
    return {
        "accuracy": clustering_accuracy(labels, clusters, mapping),
        "nmi": normalized_mutual_information(labels, clusters),
        "ari": adjusted_rand_index(labels, clusters),
        "class_mean_accuracy": class_mean_accuracy(labels, clusters, mapping),
        "purity": purity(labels, clusters),
    }


def _notes(
    found: Sequence[MethodRuns], k: int, classes: int | None, tested: bool
) -> tuple[str, ...]:
    notes = []
    if any(len(method.runs) > 1 for method in found):
        notes.append("± is the sample standard deviation over the seeds.")
    if classes is not None:
        notes.append(
            "ACC: best one-to-one map of clusters to classes (Hungarian); NMI: arithmetic mean."
        )
    if classes is not None and classes != k:
        notes.append(f"{k} clusters and {classes} classes: one-to-one leaves some without a match.")
    if tested:
        notes.append("test: clusters and their map to classes were fitted on the other shapes.")
    titles = [METHODS[method.method].title for method in found if METHODS[method.method].by_nearest]
    if tested and titles:
        notes.append(
            f"{' and '.join(titles)}: a test shape is in the cluster of the nearest other."
        )
    for method in found:
        sizes = [len(np.unique(run.clusters)) for run in method.runs]
        if method.method == "hdbscan":
            notes.append(
                f"HDBSCAN finds as many clusters as are dense, here {sizes[0]}; what it calls "
                "noise is in the cluster of the nearest shape that is none."
            )
        elif min(sizes) < k:
            notes.append(
                f"{METHODS[method.method].title} found only {min(sizes)} of {k} clusters that "
                "have shapes: there may be fewer different shapes than clusters."
            )
    return tuple(notes)
