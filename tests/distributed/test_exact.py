from fractions import Fraction

import numpy as np
import pytest
import torch

from pcclust.distributed.exact import EXACT_ROWS, Grid, bins_of, total_of
from pcclust.ops.kmeans_update import kmeans_update


@pytest.mark.parametrize("power", [-44, -20, 0, 15, 37])
def test_sums_of_float32_are_exact(power):
    generator = torch.Generator().manual_seed(power)
    values = torch.rand(3000, generator=generator) ** 30 * 10.0**power
    values[:3] = torch.tensor([0.0, 1e-45, 3.4e38])
    exact = sum(map(Fraction, values.tolist()))
    assert Fraction(total_of(bins_of(values))) == Fraction(float(exact))
    parts = [bins_of(part) for part in values.split(700)]
    assert total_of(sum(parts)) == total_of(bins_of(values))


def test_nothing_sums_to_nothing():
    assert total_of(bins_of(torch.empty(0))) == 0


@pytest.mark.parametrize("count", [1, 3000, EXACT_ROWS, 10**8, 10**10])
def test_the_grid_is_as_fine_as_is_said_and_no_sum_overflows(count):
    largest = torch.tensor([1.0, 0.9999, 3e-7, 1234.5, 0.0])
    steps = Grid.of(largest, count).steps
    bits = 37 if count <= 2**25 else 62 - (count - 1).bit_length()
    assert bits >= 28
    assert (largest.double() <= steps * 2**bits).all()
    assert (steps[:4] * 2 ** (bits - 1) <= largest[:4].double()).all()
    assert float((largest.double() / steps).max()) * count <= 2**62


def test_sums_on_the_grid_are_exact_in_any_order():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 5)) * 10.0 ** rng.integers(-9, 9, size=(3000, 1))
    rows = torch.from_numpy(rows.astype(np.float32))
    grid = Grid.of(rows.abs().amax(dim=0), len(rows))
    snapped = grid.snap(rows)
    labels = torch.from_numpy(rng.integers(4, size=3000))
    wanted = [
        [sum(map(Fraction, snapped[labels == c, d].tolist())) for d in range(5)] for c in range(4)
    ]
    for order in (torch.arange(3000), torch.randperm(3000)):
        sums, _ = kmeans_update(snapped[order], None, labels[order], 4)
        found = grid.in_steps(sums)
        for c in range(4):
            for d in range(5):
                assert Fraction(float(grid.steps[d])) * int(found[c, d]) == wanted[c][d]


def test_rounding_to_the_grid_is_half_a_step_at_most():
    rows = torch.randn(1000, 3) * torch.tensor([1.0, 1e-12, 1e9])
    grid = Grid.of(rows.abs().amax(dim=0), 1000)
    assert ((grid.snap(rows).double() - rows.double()).abs() <= grid.steps / 2).all()


def test_float16_lies_on_the_grid():
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.float16)
    every = every[every.abs() < 8192].float()[:, None]
    grid = Grid.of(every.abs().amax(dim=0), len(every))
    assert grid.float16_lies_on_it
    assert torch.equal(grid.snap(every), every)
    assert not Grid.of(torch.tensor([8192.0]), 2**25).float16_lies_on_it
