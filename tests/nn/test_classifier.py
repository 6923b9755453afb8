"""`pcclust.nn.Classifier` and its head."""

import pytest
import torch
from torch import nn

from pcclust.nn import Classifier, ward_hierarchy
from tests.nn.example_clouds import objects, relative, small_backbone
from tests.ops.sample_clouds import same_bits


def test_head_is_an_mlp_with_batch_norm_and_dropout() -> None:
    backbone = small_backbone("dgcnn")
    network, points = Classifier(backbone, 7), objects(5, 40)
    linears = [layer for layer in network.head if isinstance(layer, nn.Linear)]
    assert [layer.out_features for layer in linears] == [512, 256, 7]
    assert [layer.p for layer in network.head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]
    network.eval()
    x = backbone(points)
    for linear, norm in zip(linears[:2], (network.head[1], network.head[5]), strict=True):
        x = linear(x)
        x = (x - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        x = torch.where(x > 0, x, 0.2 * x)
    assert relative(network(points), linears[2](x)) < 1e-6


def test_passes_lengths_and_clusters_on() -> None:
    network, points = Classifier(small_backbone("clusternet"), 4).eval(), objects(3, 40)
    lengths = torch.tensor([40, 30, 20])
    clusters = ward_hierarchy(points, network.backbone.num_clusters, lengths)
    found = network(points, lengths, clusters=clusters)
    assert same_bits(found, network(points, lengths))
    assert not same_bits(found, network(points))


def test_wrong_input_is_named() -> None:
    network = Classifier(small_backbone("dgcnn"), 4)
    with pytest.raises(ValueError, match=r"batch of one.*larger batch size"):
        network(objects(1, 40))
    assert network.eval()(objects(1, 40)).shape == (1, 4)
    with pytest.raises(TypeError, match="must have out_channels, an int; Linear has None"):
        Classifier(nn.Linear(3, 4), 4)
    with pytest.raises(ValueError, match="num_classes=0"):
        Classifier(small_backbone("dgcnn"), 0)
