"""Clustering of feature vectors and of points."""

from pcclust.cluster.kmeans import KMeans

__all__ = ["KMeans"]
