import pytest
import torch

from pcclust.data import PointDataset
from pcclust.methods.contrastnet import ContrastNet
from pcclust.methods.contrastnet_presets import PRESETS, contrastnet_preset
from pcclust.methods.pseudo_label_network import PseudoLabelNetwork


def shapes(up_axis="y"):
    points = torch.randn(40, 1024, 3, generator=torch.Generator().manual_seed(0))
    return PointDataset(points / points.norm(dim=2).amax(dim=1)[:, None, None], up_axis=up_axis)


def edge_conv(width, out):
    return 2 * width * out + 2 * out


def layer(width, out):
    return width * out + 2 * out


def zhang_trunk(embedding):
    """Parameters of the official network, with our T-Net, which has no layer 64 → 128 on edges."""
    convolutions = edge_conv(3, 64) + 2 * edge_conv(64, 64) + edge_conv(64, 128)
    transform = edge_conv(3, 64) + layer(64, 128) + layer(128, 1024) + layer(1024, 512)
    transform += layer(512, 256) + 256 * 9 + 9
    return convolutions + layer(320, embedding) + transform


def test_zhang2019_has_the_sizes_of_the_official_code():
    preset = contrastnet_preset("zhang2019", "x")
    assert (preset.clusters, preset.whiten, preset.l2, preset.rounds) == (300, 0, False, 1)
    method = ContrastNet(preset.contrastnet, shapes())
    encoder = method.model.encoder
    assert encoder.out_channels == 256
    assert sum(p.numel() for p in encoder.parameters()) == zhang_trunk(256)
    head = layer(512, 1024) + layer(1024, 512) + 512 * 2 + 2
    total = sum(p.numel() for p in method.model.parameters())
    assert total == 2 * zhang_trunk(256) + head
    batch = next(method.batches(0, 0))
    assert batch.parts.shape == (14, 2, 512, 3)
    assert method.planes.shape == (40, 15, 3)
    network = PseudoLabelNetwork(preset.of_round(1), shapes(), torch.arange(40))
    assert network.model.backbone.out_channels == 1024
    head = layer(1024, 512) + layer(512, 256) + 256 * 300 + 300
    assert sum(p.numel() for p in network.model.parameters()) == zhang_trunk(1024) + head


def test_zhang2019_needs_to_know_what_is_up():
    preset = contrastnet_preset("zhang2019", "x")
    with pytest.raises(ValueError, match="x does not say which axis points up"):
        ContrastNet(preset.contrastnet, shapes(None))
    with pytest.raises(ValueError, match="x does not say which axis points up"):
        PseudoLabelNetwork(preset.of_round(1), shapes(None), torch.arange(40))


def test_rotation_invariant_needs_no_pose_and_has_no_upright_views():
    preset = contrastnet_preset("rotation-invariant", "x")
    method = ContrastNet(preset.contrastnet, shapes(None))
    assert type(method.model.encoder).__name__ == "ClusterNet"
    assert method.model.other is None
    batch = next(method.batches(0, 0))
    assert batch.parts.shape[:2] == (32, 2)
    assert int(batch.lengths.min()) >= 256
    assert int(batch.lengths.max()) <= 768
    network = PseudoLabelNetwork(preset.of_round(1), shapes(None), torch.arange(40))
    assert type(network.model.backbone).__name__ == "ClusterNet"
    assert preset.contrastnet.rotation == preset.network.rotation == "so3"


@pytest.mark.parametrize("name", PRESETS)
def test_rounds_differ_in_their_seed_and_share_what_is_of_all_stages(name):
    preset = contrastnet_preset(name, "x", seed=7, up_axis="z", num_points=512, workers=1)
    first, second = preset.of_round(1), preset.of_round(2)
    assert (first.seed, second.seed) == (8, 9)
    for config in (first, second):
        shared = (config.dataset, config.up_axis, config.num_points, config.workers)
        assert shared == ("x", "z", 512, 1)
        assert config.num_clusters == 300
