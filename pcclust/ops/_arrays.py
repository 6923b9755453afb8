"""NumPy in, NumPy out; torch in, torch out."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

P = ParamSpec("P")
R = TypeVar("R")


def accepts_numpy(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a function of tensors take NumPy arrays, whose results then are arrays as well.

    Arrays become tensors that share their memory. The first argument decides what comes back; a
    mixture of tensors and arrays is refused, since it usually is a mistake.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        values = [*args, *kwargs.values()]
        if not any(isinstance(value, np.ndarray) for value in values):
            return function(*args, **kwargs)
        if any(isinstance(value, Tensor) for value in values):
            raise TypeError(f"{function.__name__} got both tensors and NumPy arrays")
        result = function(
            *(to_tensor(a) for a in args),
            **{k: to_tensor(v) for k, v in kwargs.items()},
        )
        return to_numpy(result)  # type: ignore[no-any-return]

    return wrapped


def to_tensor(value: Any) -> Any:  # noqa: ANN401
    """Returns a tensor that shares an array's memory, and anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == object or value.dtype.kind in "USmMV":
        raise TypeError(f"an array of numbers is needed, got dtype {value.dtype}")
    # torch knows neither foreign byte orders nor negative strides, and warns of read-only memory.
    native = value.astype(value.dtype.newbyteorder("="), copy=False)
    return torch.from_numpy(np.require(native, requirements=["C", "W"]))


def to_numpy(result: Any) -> Any:  # noqa: ANN401
    """Returns the tensors of a result, alone or in a tuple, as arrays."""
    if isinstance(result, Tensor):
        return result.numpy()
    if isinstance(result, tuple):
        values = [to_numpy(value) for value in result]
        return type(result)(*values) if hasattr(result, "_fields") else tuple(values)
    return result
