"""Tests of models and features: rotations, corruptions, and what clusters are worth."""

from pcclust.evaluate.clustering import clustering
from pcclust.evaluate.clustering_report import ClusteringReport
from pcclust.evaluate.corruption import corruption
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.rotation import rotation
from pcclust.evaluate.rotation_report import RotationReport
from pcclust.evaluate.turns import Turns

__all__ = [
    "ClusteringReport",
    "CorruptionReport",
    "RotationReport",
    "Turns",
    "clustering",
    "corruption",
    "rotation",
]
