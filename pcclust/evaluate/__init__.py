"""Tests of models and features: what rotations and corruptions do to them."""

from pcclust.evaluate.corruption import corruption
from pcclust.evaluate.corruption_report import CorruptionReport
from pcclust.evaluate.rotation import rotation
from pcclust.evaluate.rotation_report import RotationReport
from pcclust.evaluate.turns import Turns

__all__ = ["CorruptionReport", "RotationReport", "Turns", "corruption", "rotation"]
