"""Clustering of feature vectors and of points, and what clusters are worth."""

from pcclust.cluster.kernel_map import KernelMap
from pcclust.cluster.kmeans import KMeans
from pcclust.cluster.metrics import (
    ClusterMap,
    adjusted_rand_index,
    class_mean_accuracy,
    clustering_accuracy,
    fit_cluster_map,
    normalized_mutual_information,
    purity,
)
from pcclust.cluster.number import CurvePoint, NumberOfClusters, number_of_clusters
from pcclust.cluster.pseudo_labels import ClusterCollapseWarning, PseudoLabels, pseudo_labels
from pcclust.cluster.silhouette import silhouette
from pcclust.cluster.whitening import PCAWhitening, unit_length

__all__ = [
    "ClusterCollapseWarning",
    "ClusterMap",
    "CurvePoint",
    "KMeans",
    "KernelMap",
    "NumberOfClusters",
    "PCAWhitening",
    "PseudoLabels",
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
