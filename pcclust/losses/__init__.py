"""Objectives without labels, one a file, each a function of what the network puts out."""

from pcclust.losses.entropy import entropy, imbalance
from pcclust.losses.nt_xent import nt_xent
from pcclust.losses.vicreg import vicreg

__all__ = ["entropy", "imbalance", "nt_xent", "vicreg"]
