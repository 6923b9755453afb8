"""The contrast with prototypes against its formula written out."""

import math

import pytest
import torch

from pcclust.losses import prototype_contrast


def drawn(count=5, prototypes=4, width=7, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(count, width, generator=generator, dtype=dtype)
    centers = torch.randn(prototypes, width, generator=generator, dtype=dtype)
    return z, centers, torch.randint(prototypes, (count,), generator=generator)


def written_out(z, centers, labels, temperature):
    total = 0.0
    for row, label in zip(z.tolist(), labels.tolist(), strict=True):
        likeness = [
            sum(a * b for a, b in zip(row, center, strict=True))
            / math.hypot(*row)
            / math.hypot(*center)
            / temperature
            for center in centers.tolist()
        ]
        total -= math.log(math.exp(likeness[label]) / sum(map(math.exp, likeness)))
    return total / len(z)


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("count", [1, 5])
def test_it_is_the_formula(count, temperature):
    given = drawn(count)
    found = float(prototype_contrast(*given, temperature))
    assert found == pytest.approx(written_out(*given, temperature))


def test_gradients_reach_views_alone():
    z, centers, labels = drawn()
    z.requires_grad_()
    centers.requires_grad_()
    assert torch.autograd.gradcheck(lambda z: prototype_contrast(z, centers, labels), z)
    prototype_contrast(z, centers, labels).backward()
    assert centers.grad is None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_halves_are_computed_in_float32(dtype):
    z, centers, labels = drawn(dtype=torch.float32)
    found = prototype_contrast(z.to(dtype), centers, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, prototype_contrast(z.to(dtype).float(), centers, labels))


def test_autocast_does_not_blur_near_prototypes():
    z, centers, labels = drawn(dtype=torch.float32)
    near = 1 + 1e-3 * centers
    with torch.autocast("cpu", torch.bfloat16):
        found = prototype_contrast(z, near, labels, 1e-4)
    torch.testing.assert_close(found, prototype_contrast(z, near, labels, 1e-4))


def test_a_view_of_zeros_has_a_finite_loss_and_gradient():
    z, centers, labels = drawn()
    z = (0 * z).requires_grad_()
    loss = prototype_contrast(z, centers, labels)
    loss.backward()
    assert loss.isfinite()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"z": torch.ones(5, 7).long()}, TypeError, "z must be floating"),
        ({"labels": torch.zeros(5)}, TypeError, "labels must be int64"),
        ({"labels": torch.zeros(4).long()}, ValueError, r"labels must be \(5,\)"),
        ({"labels": torch.full((5,), 4)}, ValueError, "from 0 to 3"),
        ({"labels": torch.full((5,), -1)}, ValueError, "from 0 to 3"),
        ({"prototypes": torch.ones(4, 6)}, ValueError, r"\(5, 7\) and \(4, 6\)"),
        ({"temperature": 0}, ValueError, "temperature=0"),
    ],
)
def test_it_refuses(change, error, match):
    z, centers, labels = drawn()
    with pytest.raises(error, match=match):
        prototype_contrast(**({"z": z, "prototypes": centers, "labels": labels} | change))
