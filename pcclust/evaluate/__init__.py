"""Evaluation: rotations, corruptions, linear evaluation of features, measures of clusters."""

from pcclust.evaluate.clustering import clustering
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.evaluate.corruption import corruption
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.embedding import embed
from pcclust.evaluate.linear import linear
from pcclust.evaluate.linear_report import LinearReport
from pcclust.evaluate.probes import Probes
from pcclust.evaluate.rotation import rotation
from pcclust.evaluate.rotation_report import RotationReport
from pcclust.evaluate.rotations import Rotations

__all__ = [
    "ClusteringReport",
    "CorruptionReport",
    "LinearReport",
    "Probes",
    "RotationReport",
    "Rotations",
    "clustering",
    "corruption",
    "embed",
    "linear",
    "rotation",
]
