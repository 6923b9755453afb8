"""VICReg against its formula written out."""

import math
import statistics

import pytest
import torch

from pcclust.losses import vicreg


def views(count=6, width=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return (torch.randn(count, width, generator=generator, dtype=dtype) for _ in range(2))


def covariance(a, b):
    mean_a, mean_b = statistics.fmean(a), statistics.fmean(b)
    products = (x - mean_a for x in a), (y - mean_b for y in b)
    return sum(x * y for x, y in zip(*products, strict=True)) / (len(a) - 1)


def written_out(z1, z2):
    """The three terms, channel by channel."""
    count, width = z1.shape
    difference = sum(
        (float(a) - float(b)) ** 2 for a, b in zip(z1.flatten(), z2.flatten(), strict=True)
    )
    spread = redundancy = 0.0
    for z in (z1, z2):
        columns = z.T.tolist()
        for i, a in enumerate(columns):
            deviation = math.sqrt(covariance(a, a) + 1e-4)
            spread += max(0.0, 1 - deviation) / width / 2
            redundancy += sum(
                covariance(a, b) ** 2 / width for j, b in enumerate(columns) if j != i
            )
    return difference / (count * width), spread, redundancy


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_it_is_the_formula(scale):
    z1, z2 = (scale * z for z in views())
    difference, spread, redundancy = written_out(z1, z2)
    expected = 25 * difference + 25 * spread + redundancy
    assert float(vicreg(z1, z2)) == pytest.approx(expected)
    weighted = vicreg(z1, z2, invariance=1, variance=2, covariance=3)
    assert float(weighted) == pytest.approx(difference + 2 * spread + 3 * redundancy)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_any_floating_dtype_also_under_autocast(dtype):
    z1, z2 = (z.to(dtype) for z in views())
    expected = vicreg(z1.float(), z2.float())
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(vicreg(z1, z2), expected)


def test_gradients_also_of_a_collapsed_channel():
    z1, z2 = (z.requires_grad_() for z in views())
    assert torch.autograd.gradcheck(vicreg, (z1, z2))
    flat = torch.zeros(4, 3, dtype=torch.float64, requires_grad=True)
    vicreg(flat, flat).backward()
    assert flat.grad.isfinite().all()


def test_it_refuses_views_of_unlike_shape():
    with pytest.raises(ValueError, match=r"got \(3, 4\) and \(3, 5\)"):
        vicreg(torch.rand(3, 4), torch.rand(3, 5))
