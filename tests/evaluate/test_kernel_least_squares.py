"""Least squares with a kernel against systems solved shape by shape."""

import numpy as np
import pytest
import torch

from pcclust.evaluate.kernel_least_squares import PENALTIES, KernelLeastSquares


def noisy(count, seed, dtype=torch.float64):
    """Three classes on a line that overlap."""
    draw = torch.Generator().manual_seed(seed)
    places = torch.arange(count) % 3
    noise = torch.randn(count, 2, generator=draw, dtype=dtype)
    return torch.stack([places, -places], dim=1).to(dtype) + 0.8 * noise, places


def kernel(rows, others, gamma):
    return np.exp(-gamma * ((rows[:, None] - others[None]) ** 2).sum(axis=2))


def solved(rows, places, gamma, penalty):
    targets = np.where(places[:, None] == np.arange(3), 1.0, -1.0)
    return np.linalg.solve(kernel(rows, rows, gamma) + penalty * np.eye(len(rows)), targets)


def right_when_left_out(rows, places, gamma, penalty):
    hits = 0
    for one in range(len(rows)):
        rest = np.arange(len(rows)) != one
        weights = solved(rows[rest], places[rest], gamma, penalty)
        scores = kernel(rows[one : one + 1], rows[rest], gamma) @ weights
        hits += int(scores.argmax() == places[one])
    return hits


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("gamma", [0.1, 1.0, 30.0])
def test_the_penalty_is_right_most_often_about_shapes_left_out(seed, gamma):
    rows, places = noisy(40, seed)
    found = KernelLeastSquares(rows, places, gamma)
    hits = [right_when_left_out(rows.numpy(), places.numpy(), gamma, one) for one in PENALTIES]
    assert found.penalty == PENALTIES[int(np.argmax(hits))]
    shown = noisy(20, seed + 100)[0]
    weights = solved(rows.numpy(), places.numpy(), gamma, found.penalty)
    expected = kernel(shown.numpy(), rows.numpy(), gamma) @ weights
    np.testing.assert_allclose(found.scores(shown).numpy(), expected, rtol=1e-8, atol=1e-10)


def test_some_penalty_is_not_the_first():
    chosen = {KernelLeastSquares(*noisy(40, seed), 1.0).penalty for seed in range(20)}
    assert len(chosen) > 1


def test_copies_of_shapes_are_no_trouble_in_float32():
    rows, places = noisy(30, 0, torch.float32)
    found = KernelLeastSquares(rows.repeat(40, 1), places.repeat(40), 1.0)
    shown = noisy(50, 1)[0]
    many, known = rows.repeat(40, 1).double().numpy(), places.repeat(40).numpy()
    weights = solved(many, known, 1.0, found.penalty)
    expected = kernel(shown.numpy(), many, 1.0) @ weights
    assert (
        found.scores(shown.float()).argmax(dim=1).numpy() == expected.argmax(axis=1)
    ).mean() > 0.97
