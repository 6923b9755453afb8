"""Rows in segments to pool."""

import torch
from torch import Tensor

from pcclust.ops._registry import why_missing
from pcclust.ops.segments import Segments

BACKENDS = [backend for backend in ("torch", "cpu") if why_missing(backend) is None]
TOLERANCES = {torch.float32: 1e-5, torch.float64: 1e-12}
EPS = 1e-5


class Case:
    """Random rows in segments, listed or as they lie, with rows that are in none where wished."""

    def __init__(
        self,
        sizes: list[int],
        channels: int,
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
        *,
        listed: bool = False,
        gaps: bool = False,
    ) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.sizes = torch.tensor(sizes, dtype=torch.int64)
        between = torch.randint(0, 3, (len(sizes),), generator=generator) * gaps
        self.starts = (between + self.sizes).cumsum(dim=0) - self.sizes
        count = int((between + self.sizes).sum()) + 2 * gaps

        def drawn(*shape: int) -> Tensor:
            values = torch.randn(shape, generator=generator, dtype=torch.float64)
            return values.to(dtype).requires_grad_()

        self.members = torch.randperm(count, generator=generator) if listed else None
        self.values = drawn(count, channels)
        self.scale, self.shift = drawn(channels), drawn(channels)
        self.pulls = [drawn(len(sizes), channels).detach() for _ in range(2)]
        self.segments = Segments(self.members, self.starts, self.sizes)
        self.inputs = [self.values, self.scale, self.shift]

    def cut(self, rows: Tensor) -> list[Tensor]:
        rows = rows if self.members is None else rows[self.members]
        return [
            rows[a : a + n] for a, n in zip(self.starts.tolist(), self.sizes.tolist(), strict=True)
        ]

    def pooled(self, y: Tensor) -> tuple[Tensor, Tensor]:
        nothing = y.new_zeros(y.shape[1])
        parts = self.cut(y)
        # `max` with indices, unlike `amax`, gives the first of equals the whole gradient.
        maxima = [part.max(dim=0).values if len(part) else nothing for part in parts]
        means = [part.mean(dim=0) if len(part) else nothing for part in parts]
        if not parts:
            return y.new_zeros(0, y.shape[1]), y.new_zeros(0, y.shape[1])
        return torch.stack(maxima), torch.stack(means)

    def gradients(self, results: tuple[Tensor, Tensor], inputs: list[Tensor]) -> list[Tensor]:
        pulled = [(r.double() * p.double()).sum() for r, p in zip(results, self.pulls, strict=True)]
        return list(torch.autograd.grad(pulled[0] + pulled[1], inputs, allow_unused=True))


def assert_close(found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape
    scale = max(float(expected.detach().abs().max()) if expected.numel() else 0.0, 1.0)
    difference = (found.double() - expected.double()).detach().abs()
    assert float(difference.max() if found.numel() else 0.0) <= tolerance * scale
