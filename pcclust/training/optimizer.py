"""The optimiser of a run, and its learning rate as a function of the step."""

import math
from collections.abc import Iterable
from typing import Any

from torch import nn, optim

from pcclust.training.config import TrainingConfig

FALLING = 1 / 4  # of all steps, at the end of a trapezoid


def create_optimizer(groups: list[dict[str, Any]], config: TrainingConfig) -> optim.Optimizer:
    """Returns the optimiser of groups of parameters; see `Method.param_groups`."""
    assert config.learning_rate is not None
    if config.optimizer == "adamw":
        return optim.AdamW(groups, lr=config.learning_rate, fused=True)
    return optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)


def set_learning_rate(optimizer: optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of all groups, each times its ``lr_scale`` if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("lr_scale", 1.0)


def forget(optimizer: optim.Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    """Drops momentum and the like of parameters that were made anew."""
    for parameter in parameters:
        optimizer.state.pop(parameter, None)


def learning_rate(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Returns the learning rate of a step: a linear rise, and then what the schedule says.

    ``cosine`` falls by half a cosine to 0, ``constant`` stays, ``step`` falls to a tenth after half
    of all steps and to a hundredth after three quarters, and ``trapezoid`` stays and falls in a
    line to 0 over the last quarter (Hägele et al., "Scaling Laws and Compute-Optimal Training
    Beyond Fixed Training Durations", 2024; the quarter is our choice).

    It depends on nothing but the step, so a resumed run has no schedule to restore.

    Args:
        step: from 0.
        steps_per_epoch: the steps of an epoch.
        config: of the run.

    Example:
        >>> from pcclust.training import TrainingConfig
        >>> from pcclust.training.optimizer import learning_rate
        >>> config = TrainingConfig(epochs=3, learning_rate=1.0, warmup_epochs=1)
        >>> [round(learning_rate(step, 2, config), 3) for step in range(6)]
        [0.5, 1.0, 1.0, 0.854, 0.5, 0.146]
        >>> config = TrainingConfig(epochs=4, learning_rate=1.0, warmup_epochs=0, schedule="step")
        >>> [round(learning_rate(step, 1, config), 3) for step in range(4)]
        [1.0, 1.0, 0.1, 0.01]
    """
    assert config.learning_rate is not None
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    if config.schedule == "constant":
        return config.learning_rate
    if config.schedule == "step":
        return config.learning_rate * 0.1 ** sum(4 * step >= part * total for part in (2, 3))
    if config.schedule == "trapezoid":
        return config.learning_rate * min(1, (total - step) / max(total * FALLING, 1))
    done = (step - warmup) / max(total - warmup, 1)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2
