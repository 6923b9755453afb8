"""What features, clusters and models are worth."""

from pcclust.evaluate.clustering import clustering
from pcclust.evaluate.clustering_report import ClusteringReport

__all__ = ["ClusteringReport", "clustering"]
