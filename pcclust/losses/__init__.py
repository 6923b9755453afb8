"""Objectives without labels, one a file, each a function of what the network puts out."""

from pcclust.losses.nt_xent import nt_xent
from pcclust.losses.vicreg import vicreg

__all__ = ["nt_xent", "vicreg"]
