"""Clustering of feature vectors and of points, and what clusters are worth."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Functions with the names of their files, which would hide them if these were imported later.
from pcclust.cluster.pseudo_labels import ClusterCollapseWarning, PseudoLabels, pseudo_labels
from pcclust.cluster.silhouette import silhouette

if TYPE_CHECKING:
    from pcclust.cluster.contingency import ClusterMap, fit_cluster_map
    from pcclust.cluster.kernel_map import KernelMap
    from pcclust.cluster.kmeans import KMeans
    from pcclust.cluster.metrics import (
        adjusted_rand_index,
        class_mean_accuracy,
        clustering_accuracy,
        normalized_mutual_information,
        purity,
    )
    from pcclust.cluster.number import CurvePoint, NumberOfClusters, number_of_clusters
    from pcclust.cluster.spectral import SelfTuningSpectral
    from pcclust.cluster.spectral_map import SpectralMap
    from pcclust.cluster.whitening import PCAWhitening, unit_length

# Imported when first asked for: scikit-learn, whose estimators ours are, takes a second to load.
_HOMES = {
    "ClusterMap": "metrics",
    "CurvePoint": "number",
    "KMeans": "kmeans",
    "KernelMap": "kernel_map",
    "NumberOfClusters": "number",
    "PCAWhitening": "whitening",
    "SelfTuningSpectral": "spectral",
    "SpectralMap": "spectral_map",
    "adjusted_rand_index": "metrics",
    "class_mean_accuracy": "metrics",
    "clustering_accuracy": "metrics",
    "fit_cluster_map": "metrics",
    "normalized_mutual_information": "metrics",
    "number_of_clusters": "number",
    "purity": "metrics",
    "unit_length": "whitening",
}

__all__ = [
    "ClusterCollapseWarning",
    "ClusterMap",
    "CurvePoint",
    "KMeans",
    "KernelMap",
    "NumberOfClusters",
    "PCAWhitening",
    "PseudoLabels",
    "SelfTuningSpectral",
    "SpectralMap",
    "adjusted_rand_index",
    "class_mean_accuracy",
    "clustering_accuracy",
    "fit_cluster_map",
    "normalized_mutual_information",
    "number_of_clusters",
    "pseudo_labels",
    "purity",
    "silhouette",
    "unit_length",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
