"""TEMI's loss against its formula written out."""

import math

import pytest
import torch

from pcclust.losses import weighted_pmi


def heads(count=2, pairs=3, clusters=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(shape, generator=generator, dtype=torch.float64)  # noqa: E731
    shape = (2, count, pairs, clusters)
    return draw(*shape), draw(*shape), draw(count, clusters).softmax(dim=1)


def written_out(students, teachers, marginal, beta):
    s, t, m = students.softmax(3).tolist(), teachers.softmax(3).tolist(), marginal.tolist()
    count, pairs = len(m), len(s[0][0])
    losses = []
    for h in range(count):
        total = 0.0
        for i in range(pairs):
            pair = [list(zip(t[0][g][i], t[1][g][i], strict=True)) for g in range(count)]
            weight = sum(a * b for head in pair for a, b in head) / count
            for this, other in ((0, 1), (1, 0)):
                terms = zip(s[this][h][i], t[other][h][i], m[h], strict=True)
                total -= weight * math.log(sum((a * b) ** beta / size for a, b, size in terms))
        losses.append(total / pairs / 2)
    return losses


@pytest.mark.parametrize("beta", [0.6, 1.0])
def test_it_is_the_formula(beta):
    inputs = heads()
    assert weighted_pmi(*inputs, beta).tolist() == pytest.approx(written_out(*inputs, beta))


def test_gradients_go_to_the_students_alone():
    students, teachers, marginal = (t.requires_grad_() for t in heads(2, 2, 3))
    assert torch.autograd.gradcheck(lambda s: weighted_pmi(s, teachers, marginal), (students,))
    weighted_pmi(students, teachers, marginal).sum().backward()
    assert teachers.grad is None
    assert marginal.grad is None


def test_certain_heads_and_an_empty_cluster_are_no_nan():
    students = torch.zeros(2, 1, 3, 4, requires_grad=True)
    logits = students + 1e4 * torch.eye(4)[:3]
    loss = weighted_pmi(logits, logits, torch.tensor([[0.5, 0.5, 0, 0]]))
    loss.sum().backward()
    assert loss.isfinite().all()
    assert students.grad.isfinite().all()


@pytest.mark.parametrize(
    ("students", "teachers", "marginal", "match"),
    [
        (torch.rand(2, 3, 4), torch.rand(2, 3, 4), torch.rand(3, 4), r"\(2, H, B, K\)"),
        (torch.rand(2, 1, 3, 4), torch.rand(2, 1, 3, 5), torch.rand(1, 4), r"\(2, 1, 3, 5\)"),
        (torch.rand(2, 1, 3, 4), torch.rand(2, 1, 3, 4), torch.rand(4), r"marginal must be \(1, 4"),
    ],
)
def test_it_refuses(students, teachers, marginal, match):
    with pytest.raises(ValueError, match=match):
        weighted_pmi(students, teachers, marginal)
