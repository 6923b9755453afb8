"""Layers in evaluation, where BatchNorm is part of the weight before it and no gradient is wanted.

There a layer is one operator on rows that lie in several tensors side by side, so nothing is copied
to bring them together. Training, and whoever wants gradients, takes the same layers written out.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pcclust.nn._batch_norm import running_statistics, scale_and_shift
from pcclust.nn._packed import Sizes, Uniform
from pcclust.ops import _registry
from pcclust.ops._layouts import readable
from pcclust.ops.segments import Segments


def fuses(norm: nn.BatchNorm1d, weight: Tensor, parts: Sequence[Tensor]) -> bool:
    """Returns whether a layer and the BatchNorm after it may be one operator on these rows."""
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or norm.training:
        return False
    tracked = norm.running_mean is not None and norm.affine
    supported = weight.dtype in (torch.float32, torch.float64) and _has_kernels(weight.device.type)
    if not tracked or not supported or _other_autocast(weight.device.type):
        return False
    return all(part.dtype == weight.dtype and readable(part) for part in parts)


def halved(weight: Tensor) -> bool:
    """Returns whether autocast asks for products of bfloat16, on a CPU."""
    on_cpu = weight.device.type == "cpu" and weight.dtype == torch.float32
    return on_cpu and torch.is_autocast_enabled("cpu")


def folded(weight: Tensor, norm: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """Returns weight and bias of a linear layer and the BatchNorm after it as one.

    Args:
        weight: ``(out, in)``, of a layer without bias.
        norm: with running statistics.
    """
    scale, shift = scale_and_shift(norm, *running_statistics(norm))
    return (scale[:, None] * weight.double()).to(weight.dtype), shift.to(weight.dtype)


def segments(sizes: Sizes, device: torch.device) -> Segments:
    """Returns the rows of each cloud."""
    rows = [sizes.rows] * sizes.clouds if isinstance(sizes, Uniform) else sizes
    table = torch.tensor(rows, dtype=torch.int64, device=device)
    return Segments(None, table.cumsum(dim=0) - table, table)


def _has_kernels(device: str) -> bool:
    return device == "cpu" or (device == "cuda" and _registry.cuda is not None)


def _other_autocast(device: str) -> bool:
    """Returns whether autocast asks for what the operators are not made for.

    On a GPU that is any half precision: its products are torch's own, on tensor cores.
    """
    wanted = torch.bfloat16 if device == "cpu" else None
    return torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) != wanted
