"""NT-Xent against its formula written out."""

import math

import pytest
import torch

from pcclust.losses import nt_xent


def views(count=5, width=7, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, width, generator=generator, dtype=dtype) for _ in range(2))


def written_out(z1, z2, temperature):
    """Equation 1 of SimCLR, view by view."""
    rows = [[float(value) for value in row] for row in [*z1, *z2]]
    total = 0.0
    for i, row in enumerate(rows):
        similarity = []
        for other in rows:
            product = sum(a * b for a, b in zip(row, other, strict=True))
            similarity.append(product / math.hypot(*row) / math.hypot(*other))
        others = sum(math.exp(s / temperature) for k, s in enumerate(similarity) if k != i)
        partner = (i + len(z1)) % len(rows)
        total -= math.log(math.exp(similarity[partner] / temperature) / others)
    return total / len(rows)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("count", [2, 5])
def test_it_is_the_formula(count, temperature):
    z1, z2 = views(count)
    assert float(nt_xent(z1, z2, temperature)) == pytest.approx(written_out(z1, z2, temperature))


def test_neither_length_nor_the_order_of_shapes_nor_of_views_matters():
    z1, z2 = views()
    order = torch.tensor([3, 0, 4, 1, 2])
    expected = nt_xent(z1, z2)
    torch.testing.assert_close(nt_xent(3 * z1[order], z2[order]), expected)
    torch.testing.assert_close(nt_xent(z2, z1), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_any_floating_dtype(dtype):
    z1, z2 = (z.to(dtype) for z in views())
    loss = nt_xent(z1, z2)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, nt_xent(z1.float(), z2.float()))


def test_autocast_does_not_blur_similar_views():
    z1, z2 = (1 + 1e-3 * z.float() for z in views())
    with torch.autocast("cpu", torch.bfloat16):
        blurred = nt_xent(z1, z2, 1e-4)
    torch.testing.assert_close(blurred, nt_xent(z1, z2, 1e-4))


def test_gradients():
    z1, z2 = (z.requires_grad_() for z in views(3, 4))
    assert torch.autograd.gradcheck(nt_xent, (z1, z2))


def test_a_view_of_zeros_has_a_finite_loss_and_gradient():
    z1, z2 = (z.requires_grad_() for z in views())
    loss = nt_xent(z1 * 0, z2)
    loss.backward()
    assert loss.isfinite()
    assert z2.grad.isfinite().all()


@pytest.mark.parametrize(
    ("z1", "z2", "temperature", "error", "match"),
    [
        (torch.rand(3, 4), torch.rand(4, 4), 0.5, ValueError, r"\(3, 4\) and \(4, 4\)"),
        (torch.rand(1, 4), torch.rand(1, 4), 0.5, ValueError, "B >= 2"),
        (torch.rand(3), torch.rand(3), 0.5, ValueError, r"\(B, C\)"),
        (torch.ones(3, 4).long(), torch.rand(3, 4), 0.5, TypeError, "z1 must be floating"),
        (torch.rand(3, 4), torch.rand(3, 4), 0, ValueError, "temperature=0"),
    ],
)
def test_it_refuses(z1, z2, temperature, error, match):
    with pytest.raises(error, match=match):
        nt_xent(z1, z2, temperature)
