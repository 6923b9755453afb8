"""Losses of confident shapes, against their formulas written out."""

import math

import pytest
import torch

from pcclust.losses import double_softmax, fixmatch, self_label


def views(count=12, clusters=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, count, clusters)
    return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).unbind()


def cross_entropies(weak, strong, threshold):
    """The cluster and the cross-entropy of each confident shape."""
    pairs = []
    for plain, distorted in zip(weak.softmax(1).tolist(), strong.softmax(1).tolist(), strict=True):
        label = plain.index(max(plain))
        if plain[label] > threshold:
            pairs.append((label, -math.log(distorted[label])))
    return pairs


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_self_label_weighs_clusters_alike(threshold):
    weak, strong = views()
    pairs = cross_entropies(weak, strong, threshold)
    sizes = {label: sum(other == label for other, _ in pairs) for label, _ in pairs}
    weights = [len(pairs) / sizes[label] for label, _ in pairs]
    total = sum(w * value for w, (_, value) in zip(weights, pairs, strict=True)) / sum(weights)
    loss, fraction = self_label(weak, strong, threshold)
    assert float(loss) == pytest.approx(total)
    assert float(fraction) == pytest.approx(len(pairs) / len(weak))


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_fixmatch_divides_by_all(threshold):
    weak, strong = views()
    pairs = cross_entropies(weak, strong, threshold)
    loss, fraction = fixmatch(weak, strong, threshold)
    assert float(loss) == pytest.approx(sum(value for _, value in pairs) / len(weak))
    assert float(fraction) == pytest.approx(len(pairs) / len(weak))


@pytest.mark.parametrize("loss", [self_label, fixmatch])
def test_without_a_confident_shape_loss_and_gradient_are_zero(loss):
    weak, strong = (0 * view for view in views())
    strong.requires_grad_()
    found = loss(weak, strong, 0.9)
    found.loss.backward()
    assert float(found.loss) == float(found.fraction) == 0
    assert not strong.grad.any()


@pytest.mark.parametrize("loss", [self_label, fixmatch])
def test_gradients_go_to_the_distorted_views_alone(loss):
    weak, strong = (view.requires_grad_() for view in views(4))
    assert torch.autograd.gradcheck(lambda s: loss(weak, s, 0.5).loss, (strong,))
    loss(weak, strong, 0.5).loss.backward()
    assert weak.grad is None


def test_double_softmax_is_the_formula():
    logits, _ = views()
    labels = torch.arange(12) % 3
    total = 0.0
    for row, label in zip(logits.softmax(dim=1).tolist(), labels.tolist(), strict=True):
        total -= math.log(math.exp(row[label]) / sum(map(math.exp, row)))
    assert float(double_softmax(logits, labels)) == pytest.approx(total / 12)
    assert torch.autograd.gradcheck(lambda t: double_softmax(t, labels), logits.requires_grad_())


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: self_label(torch.rand(3, 4), torch.rand(3, 5)), ValueError, r"\(B, K\)"),
        (lambda: fixmatch(torch.rand(3, 4), torch.rand(3, 4), 1.0), ValueError, "threshold=1.0"),
        (lambda: double_softmax(torch.rand(3, 4), torch.zeros(2).long()), ValueError, r"\(2,\)"),
        (lambda: double_softmax(torch.ones(3, 4).int(), torch.zeros(3)), TypeError, "floating"),
    ],
)
def test_they_refuse(call, error, match):
    with pytest.raises(error, match=match):
        call()
