"""Losses of soft assignments of two views, against their formulas written out."""

import math

import pytest
import torch

from pcclust.losses import cluster_contrast, partition_uncertainty, scan


def logits(count=6, clusters=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (2, count, clusters)
    return torch.randn(shape, generator=generator, dtype=torch.float64).unbind()


def assignments(**sizes):
    return tuple(p.softmax(dim=1) for p in logits(**sizes))


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def imbalance_written_out(p):
    means = [sum(column) / len(p) for column in p.T.tolist()]
    return math.log(p.shape[1]) + sum(mean * math.log(mean) for mean in means)


def scan_written_out(anchors, neighbors, weight):
    p, q = (t.softmax(dim=1).tolist() for t in (anchors, neighbors))
    products = [sum(a * b for a, b in zip(*rows, strict=True)) for rows in zip(p, q, strict=True)]
    means = [sum(column) / len(p) for column in zip(*p, strict=True)]
    entropy = -sum(mean * math.log(mean) for mean in means)
    return -sum(map(math.log, products)) / len(p) - weight * entropy


def uncertainty_written_out(p1, p2, balance):
    total = 0.0
    for a, column in enumerate(p1.T.tolist()):
        row = [math.exp(cosine(column, other)) for other in p2.T.tolist()]
        total -= math.log(row[a] / sum(row))
    return total / p1.shape[1] + balance * imbalance_written_out(p1)


def contrast_written_out(p1, p2, temperature):
    columns = [*p1.T.tolist(), *p2.T.tolist()]
    total = 0.0
    for i, column in enumerate(columns):
        row = [math.exp(cosine(column, other) / temperature) for other in columns]
        total -= math.log(row[(i + p1.shape[1]) % len(columns)] / (sum(row) - row[i]))
    return total / len(columns) + imbalance_written_out(p1) + imbalance_written_out(p2)


@pytest.mark.parametrize("weight", [0.0, 2.0, 5.0])
def test_scan_is_the_formula(weight):
    found = scan(*logits(), entropy_weight=weight)
    assert float(found) == pytest.approx(scan_written_out(*logits(), weight))


@pytest.mark.parametrize("balance", [0.0, 2.0])
def test_partition_uncertainty_is_the_formula(balance):
    found = partition_uncertainty(*assignments(), balance=balance)
    assert float(found) == pytest.approx(uncertainty_written_out(*assignments(), balance))


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_cluster_contrast_is_the_formula(temperature):
    found = cluster_contrast(*assignments(), temperature)
    assert float(found) == pytest.approx(contrast_written_out(*assignments(), temperature))


def test_gradients():
    inputs = tuple(t.requires_grad_() for t in logits(count=3, clusters=3))
    assert torch.autograd.gradcheck(scan, inputs)
    for loss in (partition_uncertainty, cluster_contrast):
        of_logits = lambda a, b, loss=loss: loss(a.softmax(dim=1), b.softmax(dim=1))  # noqa: E731
        assert torch.autograd.gradcheck(of_logits, inputs)


@pytest.mark.parametrize("loss", [partition_uncertainty, cluster_contrast, scan])
def test_an_empty_cluster_is_no_nan(loss):
    sure = torch.zeros(4, 3, requires_grad=True)
    out = sure - torch.tensor([0.0, 0.0, 1e4])
    inputs = (out, out) if loss is scan else (out.softmax(dim=1), out.softmax(dim=1))
    value = loss(*inputs)
    value.backward()
    assert value.isfinite()
    assert sure.grad.isfinite().all()


def test_scan_sees_how_unlike_certain_opposites_are():
    opposite = scan(200 * torch.eye(2), 200 * torch.eye(2).flip(0), entropy_weight=0)
    assert float(opposite) == pytest.approx(200 - math.log(2), rel=1e-5)


@pytest.mark.parametrize("loss", [partition_uncertainty, cluster_contrast, scan])
def test_half_precision_is_computed_in_single(loss):
    inputs = [p.to(torch.bfloat16) for p in assignments()]
    torch.testing.assert_close(loss(*inputs), loss(*(p.float() for p in inputs)))


@pytest.mark.parametrize("loss", [partition_uncertainty, cluster_contrast, scan])
@pytest.mark.parametrize(
    ("first", "second", "error", "match"),
    [
        (torch.rand(3, 4), torch.rand(3, 5), ValueError, r"\(3, 4\) and \(3, 5\)"),
        (torch.rand(3, 1), torch.rand(3, 1), ValueError, "K >= 2"),
        (torch.rand(3), torch.rand(3), ValueError, r"\(B, K\)"),
        (torch.ones(3, 4).long(), torch.rand(3, 4), TypeError, "must be floating"),
    ],
)
def test_they_refuse(loss, first, second, error, match):
    with pytest.raises(error, match=match):
        loss(first, second)


@pytest.mark.parametrize("loss", [partition_uncertainty, cluster_contrast, scan])
def test_autocast_does_not_blur(loss):
    inputs = [p.float() for p in assignments(count=64, clusters=8)]
    with torch.autocast("cpu", torch.bfloat16):
        found = loss(*inputs)
    torch.testing.assert_close(found, loss(*inputs), rtol=1e-6, atol=1e-7)
