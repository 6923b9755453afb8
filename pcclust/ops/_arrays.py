"""NumPy in, NumPy out; torch in, torch out."""

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import numpy as np
import torch
from torch import Tensor

from pcclust.ops._objects import open_points

P = ParamSpec("P")
R = TypeVar("R")


def accepts_numpy(function: Callable[P, R]) -> Callable[P, R]:
    """Lets a function of tensors take NumPy arrays, whose results then are arrays as well.

    Points and queries may also be other objects (see `open_points`).

    Arrays become tensors that share their memory. The first argument decides what comes back; a
    mixture of tensors and arrays is refused, since it usually is a mistake.
    """

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if args and not isinstance(args[0], Tensor):
            args, kwargs = _with_opened_points(*args, **kwargs)  # type: ignore[assignment]
        if kwargs.get("queries") is not None:
            kwargs["queries"] = open_points(kwargs["queries"], "queries").points
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


def _with_opened_points(
    points: Any,  # noqa: ANN401
    *args: Any,  # noqa: ANN401
    **kwargs: Any,  # noqa: ANN401
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Returns the arguments of a function with the points of an object in its place."""
    opened = open_points(points, "points")
    if opened.offsets is not None:
        given = [name for name in ("lengths", "offsets", "batch") if kwargs.get(name) is not None]
        if given:
            raise ValueError(f"points know their clouds, but {given[0]} is given as well")
        kwargs["offsets"] = opened.offsets
    return (opened.points, *args), kwargs


def to_tensor(value: Any) -> Any:  # noqa: ANN401
    """Returns a tensor that shares an array's memory, and anything else as it is."""
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == object or value.dtype.kind in "USmMV":
        raise TypeError(f"an array of numbers is needed, got dtype {value.dtype}")
    if np.ma.is_masked(value):
        raise ValueError(
            "some values of a masked array are masked, and so no numbers; leave their rows out, "
            "for instance by numpy.ma.compress_rows"
        )
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
