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
    if points.device.type == "cpu" and forced_backend() is None and not _codes_help(points):
        return twin(points, *args)
    return call(name, points, *args)


def answers_by_row(points: Tensor) -> bool:
    """Returns whether the kernel, whose answer for a row depends on no other row, is in force."""
    if points.device.type != "cpu" or forced_backend() is not None:
        return forced_backend() == "cpu"
    return _codes_help(points)


def _codes_help(points: Tensor) -> bool:
    return points.shape[1] <= MOST_DIMENSIONS and _codes_pay()


@cache
def _codes_pay() -> bool:
    """Returns whether the processor multiplies bytes faster than a matrix product floats."""
    facts = native_facts()
    return facts is not None and facts["instruction_set"] != "baseline"
