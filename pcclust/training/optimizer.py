"""The optimiser of a run, and its learning rate as a function of the step."""

import math
from typing import Any

from torch import nn, optim

from pcclust.training.config import TrainingConfig


def create_optimizer(model: nn.Module, config: TrainingConfig) -> optim.Optimizer:
    """Returns the optimiser of all parameters; matrices decay, biases and norms do not."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.dim() >= 2], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0},
    ]
    assert config.learning_rate is not None
    if config.optimizer == "adamw":
        return optim.AdamW(groups, lr=config.learning_rate)
    return optim.SGD(groups, lr=config.learning_rate, momentum=0.9, nesterov=True)


def learning_rate(step: int, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Returns the learning rate of a step: a linear rise, then half a cosine down to 0.

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
    """
    assert config.learning_rate is not None
    total = config.epochs * steps_per_epoch
    warmup = min(round(config.warmup_epochs * steps_per_epoch), total)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    done = (step - warmup) / max(total - warmup, 1)
    return config.learning_rate * (1 + math.cos(math.pi * done)) / 2
