import pytest
import torch
from torch import nn

from pcclust.nn import PairClassifier
from tests.nn.example_clouds import objects, relative, small_backbone

LEFT, RIGHT = torch.tensor([0, 0, 1, 3]), torch.tensor([1, 2, 2, 4])


class Counted(nn.Module):
    """An encoder that notes which parts it is asked about."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.out_channels, self.asked = encoder, encoder.out_channels, []

    def forward(self, points, lengths=None):
        self.asked.append(points)
        return self.encoder(points, lengths=lengths)


def classifier(shared=True, name="dgcnn"):
    torch.manual_seed(1)
    other = None if shared else small_backbone(name, torch.float64, seed=2)
    network = PairClassifier(small_backbone(name, torch.float64), other, channels=(12, 6))
    return network.double()


def slowly(network, parts, left, right, lengths=None):
    """Encodes both parts of every pair anew and joins them, as the official code does."""
    rows = []
    for i, j in zip(left.tolist(), right.tolist(), strict=True):
        sizes = (None, None) if lengths is None else (lengths[i], lengths[j])
        first = network.encoder(parts[i : i + 1, : sizes[0]])
        second = (network.other or network.encoder)(parts[j : j + 1, : sizes[1]])
        rows.append(torch.cat([first, second], dim=1) @ network.first.weight.T)
    return network.head(torch.cat(rows))


@pytest.mark.parametrize("name", ["dgcnn", "clusternet", "pointnet"])
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("ragged", [True, False])
def test_equals_pairs_encoded_one_by_one(name, shared, ragged):
    network = classifier(shared, name).eval()
    parts = objects(5, 40, torch.float64)
    lengths = torch.tensor([40, 25, 31, 30, 28]) if ragged else None
    found = network(parts, LEFT, RIGHT, lengths=lengths)
    assert found.shape == (4, 2)
    assert relative(found, slowly(network, parts, LEFT, RIGHT, lengths)) < 1e-9
    loss = torch.randn(4, 2, dtype=torch.float64)
    gradients = []
    for logits in (found, slowly(network, parts, LEFT, RIGHT, lengths)):
        grads = torch.autograd.grad((logits * loss).sum(), list(network.parameters()))
        gradients.append(torch.cat([gradient.flatten() for gradient in grads]))
    assert relative(*gradients) < 1e-8


def test_each_part_is_encoded_once():
    network = classifier()
    network.encoder = Counted(network.encoder)
    parts = objects(5, 40, torch.float64)
    network(parts, LEFT, RIGHT)
    assert len(network.encoder.asked) == 1
    assert torch.equal(network.encoder.asked[0], parts)


def test_a_branch_of_its_own_encodes_only_the_parts_on_its_side():
    network = classifier(shared=False)
    network.encoder, network.other = Counted(network.encoder), Counted(network.other)
    parts = objects(5, 40, torch.float64)
    network(parts, LEFT, RIGHT)
    assert torch.equal(network.encoder.asked[0], parts[[0, 1, 3]])
    assert torch.equal(network.other.asked[0], parts[[1, 2, 4]])
    assert len(network.encoder.asked) == len(network.other.asked) == 1


def test_the_official_head():
    network = PairClassifier(small_backbone("dgcnn"))
    width = network.encoder.out_channels
    head = sum(p.numel() for p in network.parameters()) - sum(
        p.numel() for p in network.encoder.parameters()
    )
    norms = 2 * (1024 + 512)
    assert head == 2 * width * 1024 + 1024 * 512 + norms + 512 * 2 + 2
    assert [layer.p for layer in network.head if isinstance(layer, nn.Dropout)] == [0.5, 0.5]


def test_a_single_pair_cannot_be_trained_on():
    network = classifier()
    parts = objects(2, 40, torch.float64)
    pair = torch.tensor([0]), torch.tensor([1])
    with pytest.raises(ValueError, match="cannot be trained on a batch of one"):
        network(parts, *pair)
    assert network.eval()(parts, *pair).shape == (1, 2)
