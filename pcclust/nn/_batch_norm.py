"""What layers that work out their BatchNorm themselves have in common."""

import torch
from torch import Tensor, nn


def check_batch(module: nn.Module, batch: int) -> None:
    """Raises where a module with BatchNorm over clouds is to be trained on a single one.

    Raises:
        ValueError: ``module`` is in training mode and ``batch`` is 1.
    """
    if module.training and batch == 1:
        raise ValueError(
            f"{type(module).__name__} has BatchNorm over clouds, which cannot be trained on a "
            "batch of one: use a larger batch size, drop the last incomplete batch, or call .eval()"
        )


def running_statistics(norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Returns mean and variance, in float64, that evaluation uses."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    return norm.running_mean.double(), norm.running_var.double()


def scale_and_shift(norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the BatchNorm as one multiplication and addition, in float64.

    Args:
        norm: the layer, with weight and bias.
        mean: ``(C,)`` float64, that is taken off.
        variance: ``(C,)`` float64, biased.
    """
    scale = norm.weight.double() * (variance + norm.eps).rsqrt()
    return scale, norm.bias.double() - mean * scale


@torch.no_grad()
def update_running(
    norm: nn.BatchNorm1d, mean: Tensor, variance: Tensor, count: int | Tensor
) -> None:
    """Moves the running statistics as ``torch.nn.BatchNorm1d`` does in training.

    Args:
        norm: the layer.
        mean: ``(C,)`` of a batch.
        variance: ``(C,)`` of a batch, biased; the running one is not.
        count: the rows of the batch.
    """
    if norm.running_mean is None or norm.running_var is None:
        return
    assert norm.num_batches_tracked is not None
    norm.num_batches_tracked += 1
    fraction: float | Tensor = 1 / norm.num_batches_tracked.double()  # the average over all batches
    if norm.momentum is not None:
        fraction = norm.momentum
    unbiased = variance * (count / (count - 1))
    norm.running_mean.mul_(1 - fraction).add_((mean * fraction).to(norm.running_mean))
    norm.running_var.mul_(1 - fraction).add_((unbiased * fraction).to(norm.running_var))
