"""What BatchNorm asks of a batch."""

from torch import nn


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
