"""Backbones that take no lengths: they are asked without, as long as no cloud is padded."""

import inspect

from torch import Tensor, nn


def described(
    backbone: nn.Module, points: Tensor, lengths: Tensor | None, **extras: Tensor
) -> Tensor:
    """Returns what a backbone says of clouds; it is given ``lengths`` only where there are any."""
    given = extras if lengths is None else {"lengths": lengths, **extras}
    rows: Tensor = backbone(points, **given)
    return rows


def takes_lengths(backbone: nn.Module) -> bool:
    """Returns whether a backbone can be given padded clouds."""
    parameters = inspect.signature(backbone.forward).parameters
    return "lengths" in parameters or any(p.kind == p.VAR_KEYWORD for p in parameters.values())
