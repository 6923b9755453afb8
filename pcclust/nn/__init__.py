"""Layers and backbones."""

from pcclust.nn.edge_conv import EdgeConv

__all__ = ["EdgeConv"]
