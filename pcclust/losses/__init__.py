"""Objectives without labels, one a file, each a function of what the network puts out."""

from pcclust.losses.byol import byol
from pcclust.losses.chamfer import chamfer
from pcclust.losses.cluster_contrast import cluster_contrast
from pcclust.losses.dec import dec, student_t_logits, target_distribution
from pcclust.losses.double_softmax import double_softmax
from pcclust.losses.entropy import entropy, imbalance
from pcclust.losses.nt_xent import nt_xent
from pcclust.losses.partition_uncertainty import partition_uncertainty
from pcclust.losses.prototype_contrast import prototype_contrast
from pcclust.losses.scan import scan
from pcclust.losses.self_label import SelfLabelled, fixmatch, self_label
from pcclust.losses.vade import GaussianMixture, vade_divergence
from pcclust.losses.vicreg import vicreg
from pcclust.losses.weighted_pmi import weighted_pmi

__all__ = [
    "GaussianMixture",
    "SelfLabelled",
    "byol",
    "chamfer",
    "cluster_contrast",
    "dec",
    "double_softmax",
    "entropy",
    "fixmatch",
    "imbalance",
    "nt_xent",
    "partition_uncertainty",
    "prototype_contrast",
    "scan",
    "self_label",
    "student_t_logits",
    "target_distribution",
    "vade_divergence",
    "vicreg",
    "weighted_pmi",
]
