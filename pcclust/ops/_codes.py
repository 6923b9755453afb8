"""Where the kernels that screen by 8-bit codes are used."""

from collections.abc import Callable
from functools import cache
from typing import Any

from torch import Tensor

from pcclust.ops._facts import native_facts
from pcclust.ops._registry import call, forced_backend

# Sums of products of codes have 32 bits.
MOST_DIMENSIONS = 65536


def call_coded(name: str, twin: Callable[..., Any], points: Tensor, *args: Any) -> Any:  # noqa: ANN401
    """Runs the operator ``name`` on the backend in force, or its twin where codes do not help."""
    helps = points.shape[1] <= MOST_DIMENSIONS and _codes_pay()
    if points.device.type == "cpu" and forced_backend() is None and not helps:
        return twin(points, *args)
    return call(name, points, *args)


@cache
def _codes_pay() -> bool:
    """Returns whether the processor multiplies bytes faster than a matrix product floats."""
    facts = native_facts()
    return facts is not None and facts["instruction_set"] != "baseline"
