"""Layers and backbones."""

from pcclust.nn.auto_encoder import AutoEncoder
from pcclust.nn.backbones import BACKBONES, create_backbone
from pcclust.nn.canonical_pose import CanonicalPose
from pcclust.nn.classifier import Classifier
from pcclust.nn.cluster_abstraction import ClusterAbstraction
from pcclust.nn.clusterer import Clusterer, GivenFeatures
from pcclust.nn.clusternet import ClusterNet
from pcclust.nn.dgcnn import DGCNN
from pcclust.nn.edge_conv import EdgeConv
from pcclust.nn.feature_stack import FeatureStack, RRIStatistics
from pcclust.nn.pair_classifier import PairClassifier
from pcclust.nn.pointnet import PointNet
from pcclust.nn.rri_module import RRIModule
from pcclust.nn.tie_margins import tie_margins
from pcclust.nn.ward_hierarchy import ward_hierarchy

__all__ = [
    "BACKBONES",
    "DGCNN",
    "AutoEncoder",
    "CanonicalPose",
    "Classifier",
    "ClusterAbstraction",
    "ClusterNet",
    "Clusterer",
    "EdgeConv",
    "FeatureStack",
    "GivenFeatures",
    "PairClassifier",
    "PointNet",
    "RRIModule",
    "RRIStatistics",
    "create_backbone",
    "tie_margins",
    "ward_hierarchy",
]
