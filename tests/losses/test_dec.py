"""DEC's assignment, target and divergence against their formulas written out."""

import math

import pytest
import torch

from pcclust.losses import dec, student_t_logits, target_distribution


def embedded(count=6, clusters=3, width=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = (count + clusters, width)
    return torch.randn(shape, generator=generator, dtype=torch.float64).split([count, clusters])


def assignment_written_out(z, centers, alpha):
    rows = []
    for point in z.tolist():
        squares = [math.dist(point, center) ** 2 for center in centers.tolist()]
        row = [(1 + square / alpha) ** (-(alpha + 1) / 2) for square in squares]
        rows.append([value / sum(row) for value in row])
    return rows


def target_written_out(q):
    sizes = [sum(column) for column in zip(*q, strict=True)]
    rows = [[value**2 / size for value, size in zip(row, sizes, strict=True)] for row in q]
    return [[value / sum(row) for value in row] for row in rows]


@pytest.mark.parametrize("alpha", [0.5, 1.0, 3.0])
def test_assignments_and_target_are_the_formulas(alpha):
    z, centers = embedded()
    q = student_t_logits(z, centers, alpha).softmax(dim=1)
    expected = assignment_written_out(z, centers, alpha)
    torch.testing.assert_close(q, torch.tensor(expected, dtype=q.dtype))
    target = torch.tensor(target_written_out(expected), dtype=q.dtype)
    torch.testing.assert_close(target_distribution(q), target)


def test_the_divergence_is_the_formula_and_the_target_gets_no_gradient():
    z, centers = embedded()
    logits = student_t_logits(z, centers).requires_grad_()
    target = target_distribution(logits.softmax(dim=1)).requires_grad_()
    loss = dec(logits, target)
    loss.backward()
    pairs = zip(target.flatten().tolist(), logits.softmax(dim=1).flatten().tolist(), strict=True)
    assert float(loss) == pytest.approx(sum(p * math.log(p / q) for p, q in pairs) / len(z))
    assert target.grad is None


def test_a_far_shape_and_an_empty_cluster_have_finite_values_and_gradients():
    z = torch.tensor([[1e18, 0.0], [0.0, 0.0]], requires_grad=True)
    centers = torch.tensor([[0.0, 0.0], [1.0, 0.0]], requires_grad=True)
    logits = student_t_logits(z, centers)
    target = target_distribution(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    assert target.tolist() == [[1.0, 0.0], [1.0, 0.0]]
    dec(logits, target).backward()
    assert z.grad.isfinite().all()
    assert centers.grad.isfinite().all()


def test_gradients():
    z, centers = (t.requires_grad_() for t in embedded(4, 3, 2))
    assert torch.autograd.gradcheck(student_t_logits, (z, centers))
    target = target_distribution(student_t_logits(z, centers).softmax(dim=1))
    assert torch.autograd.gradcheck(lambda t: dec(t, target), student_t_logits(z, centers))


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: student_t_logits(torch.rand(3, 4), torch.rand(2, 5)), ValueError, r"\(K, C\)"),
        (lambda: student_t_logits(torch.rand(3, 4), torch.rand(2, 4), 0), ValueError, "alpha=0"),
        (lambda: student_t_logits(torch.rand(3, 4), torch.ones(2, 4).int()), TypeError, "floating"),
        (lambda: target_distribution(torch.ones(3, 1)), ValueError, "K >= 2"),
        (lambda: dec(torch.rand(3, 4), torch.rand(3, 5)), ValueError, r"\(3, 4\) and \(3, 5\)"),
    ],
)
def test_they_refuse(call, error, match):
    with pytest.raises(error, match=match):
        call()
