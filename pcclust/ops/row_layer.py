"""A linear layer and a LeakyReLU in one pass over rows that lie in several tensors."""

from collections.abc import Sequence

from torch import Tensor

from pcclust.ops._registry import call, declare
from pcclust.ops._row_parts import check_layer, layer_of_parts


def row_layer(
    parts: Sequence[Tensor], weight: Tensor, bias: Tensor, slope: float, half: bool = False
) -> Tensor:
    """Returns ``leaky_relu(weight x + bias)`` for each row x; not differentiable.

    Args:
        parts: ``(R, …)`` each, float32 or float64: a row x is what they hold side by side.
        weight: ``(C, D)``, D the columns of all parts.
        bias: ``(C,)``.
        slope: of the LeakyReLU, finite and not negative; 0 for a ReLU.
        half: whether factors are rounded to bfloat16, and their products summed in float32.

    Returns:
        ``(R, C)``.
    """
    given = [part.contiguous() for part in parts]
    out: Tensor = call("row_layer", given, weight.contiguous(), bias.contiguous(), slope, half)
    return out


def _row_layer_torch(
    parts: Sequence[Tensor], weight: Tensor, bias: Tensor, slope: float, half: bool
) -> Tensor:
    check_layer(parts, weight, bias, slope, half)
    return layer_of_parts(parts, weight, bias, slope, half)


def _row_layer_fake(
    parts: Sequence[Tensor], weight: Tensor, bias: Tensor, slope: float, half: bool
) -> Tensor:
    return bias.new_empty((parts[0].shape[0], weight.shape[0]))


declare(
    "row_layer(Tensor[] parts, Tensor weight, Tensor bias, float slope, bool half) -> Tensor",
    _row_layer_torch,
    _row_layer_fake,
)
