"""What deep-clustering methods train: an encoder and heads on its features."""

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from typing_extensions import Self


class HeadedEncoder(nn.Module):
    """An encoder and heads by name.

    Args:
        encoder: maps ``(B, N, 3)`` to ``(B, C)``.
        heads: map ``(B, C)`` to whatever the method takes.
        buffers: what else must survive an interruption.
        frozen: whether the encoder stays as it is, its BatchNorm included.
    """

    def __init__(
        self,
        encoder: nn.Module,
        heads: Mapping[str, nn.Module],
        buffers: Mapping[str, Tensor],
        *,
        frozen: bool,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.heads = nn.ModuleDict(heads)
        self.frozen = frozen
        for name, value in buffers.items():
            self.register_buffer(name, value)
        if frozen:
            encoder.requires_grad_(False)

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of the heads, and of an encoder that is trained."""
        super().train(mode)
        if self.frozen:
            self.encoder.eval()
        return self

    def forward(self, points: Tensor, heads: Collection[str] | None = None) -> dict[str, Any]:
        """Returns ``features`` ``(B, C)`` and, by its name, what each head makes of them.

        Args:
            points: ``(B, N, 3)``.
            heads: which ones; all if None.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            features = self.encoder(points)
        wanted = self.heads if heads is None else heads
        return {"features": features} | {name: self.heads[name](features) for name in wanted}
