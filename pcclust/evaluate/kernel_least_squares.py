"""A least-squares classifier with a Gaussian kernel, in closed form."""

from typing import NamedTuple

import torch
from torch import Tensor

from pcclust.cluster.kernel_map import gaussian_kernel

# From the largest on; below, rounding of float32 may leave a matrix of 10,000 rows indefinite.
PENALTIES = (3e-1, 1e-1, 3e-2, 1e-2, 3e-3)
ROWS_AT_ONCE = 4096


class KernelLeastSquares:
    """Fits +1 to the shapes of each class and -1 to the rest, in the space of a Gaussian kernel.

    With K the kernel of all training shapes and Y the targets, α = (K + λI)⁻¹ Y, which is least
    squares on a `KernelMap` that has all shapes for landmarks. Without shape i, its own target
    would have been missed by αᵢ / ((K + λI)⁻¹)ᵢᵢ: so λ is chosen by leaving out each shape in turn,
    at no cost. Time grows with the cube of the shapes, memory with three squares: 10,000 shapes of
    float32 take 1.2 GB.

    Args:
        rows: ``(S, F)`` of the training shapes, scaled.
        places: ``(S,)`` the place of the class of each, from 0.
        gamma: of the kernel, ``exp(-gamma d²)``.

    Attributes:
        penalty: λ, the largest of those that are right about the most shapes.

    Source: Rifkin, Yeo and Poggio, "Regularized Least-Squares Classification" (2003).

    Example:
        >>> import torch
        >>> rows = torch.tensor([[0.0], [0.1], [-1.0], [1.0]])
        >>> machine = KernelLeastSquares(rows, torch.tensor([0, 0, 1, 1]), 2.0)
        >>> machine.scores(torch.tensor([[0.05], [0.9]])).argmax(dim=1)
        tensor([0, 1])
    """

    def __init__(self, rows: Tensor, places: Tensor, gamma: float) -> None:
        self._rows, self._gamma = rows, gamma
        kernel = gaussian_kernel(rows, rows, gamma)
        targets = rows.new_full((len(rows), int(places.max()) + 1), -1)
        targets[torch.arange(len(rows)), places] = 1
        fits = [_fitted(kernel, targets, places, penalty) for penalty in PENALTIES]
        best = max(filter(None, fits), key=lambda fit: fit.right)  # the first of equals
        self.penalty, self._weights, _ = best

    def scores(self, rows: Tensor) -> Tensor:
        """Returns ``(N, classes)`` for scaled features ``(N, F)``."""
        parts = torch.split(rows, ROWS_AT_ONCE)
        return torch.cat(
            [gaussian_kernel(part, self._rows, self._gamma) @ self._weights for part in parts]
        )


class _Fit(NamedTuple):
    penalty: float
    weights: Tensor  # α
    right: int  # of the shapes, each left out


def _fitted(kernel: Tensor, targets: Tensor, places: Tensor, penalty: float) -> _Fit | None:
    """Returns the classifier of a penalty; None where rounding does not allow it."""
    ridge = kernel.clone()
    ridge.diagonal().add_(penalty)
    factor, failed = torch.linalg.cholesky_ex(ridge)
    if int(failed):
        return None
    del ridge
    inverse = torch.cholesky_inverse(factor)
    weights = inverse @ targets
    left_out = targets - weights / inverse.diagonal()[:, None]
    return _Fit(penalty, weights, int((left_out.argmax(dim=1) == places).sum()))
