"""Whether the backends agree on a call of an operator: the oracle of the fuzzer."""

from typing import Any

import torch
from torch import Tensor

from tests.fuzz.calls import Call

# Labels and choices among candidates that are equal to rounding; only their range is compared.
LOOSE = {"kmeans_assign": (0,), "kmeans_plusplus": (0, 1, 2), "group_max": (1,)}
OPAQUE = {"index_build"}  # bytes that only its own backend reads
HUGE = 1e10  # products of such numbers are no float32, and of which sum depends on the order
# What torch says where there is not enough memory, which is true on one backend and not the other.
MEMORY = ("can't allocate memory", "alloc", "overflow", "out of memory")


def judge(call: Call) -> str | None:
    """Runs a call on the native backend and on torch; returns what is wrong, or None."""
    name, arguments = call
    found, expected = outcome(name, arguments), outcome(f"{name}_torch", twin_arguments(call))
    for kind, result in (("native", found), ("torch", expected)):
        if isinstance(result, Exception) and not isinstance(result, RuntimeError):
            return f"{kind} raises {type(result).__name__}: {result}"
    if isinstance(found, Exception) or isinstance(expected, Exception):
        return disagreement(name, found, expected)
    if name in OPAQUE or _of_other_points(call):
        return shapes(found, expected)
    wrong = shapes(found, expected)
    return wrong or (values(name, found, expected) if exact(call) else None)


def _of_other_points(call: Call) -> bool:
    """Returns whether a search is given an index of other points, which only its caller knows."""
    name, arguments = call
    if name != "index_search":
        return False
    own = outcome("index_build", arguments[:3])
    return isinstance(own, Exception) or not torch.equal(own[0], arguments[3])


def exact(call: Call) -> bool:
    """Returns whether sums are the same in any order: where no number is huge or inf.

    NaN is NaN in any order, but `group_max_backward` leaves products with zeros out.
    """
    if not call[0].startswith(("edge", "group", "kmeans")):
        return True
    if any(isinstance(a, float) and not abs(a) < HUGE for a in call[1]):
        return False
    floats = (a for a in call[1] if isinstance(a, Tensor) and a.is_floating_point())
    nan = call[0] != "group_max_backward"
    return all(a.is_meta or bool(((a.abs() < HUGE) | (a.isnan() & nan)).all()) for a in floats)


def twin_arguments(call: Call) -> list[Any]:
    return [a.clone() if isinstance(a, Tensor) and a.is_contiguous() else a for a in call[1]]


def outcome(name: str, arguments: list[Any]) -> Any:
    try:
        operator = getattr(torch.ops.pcclust, name).default
        writes = [a.is_write for a in operator._schema.arguments]
        given = [a.clone() if w else a for a, w in zip(arguments, writes, strict=True)]
        result = operator(*given)
    except Exception as error:  # whatever it is, the judge decides
        return error
    written = tuple(a for a, w in zip(given, writes, strict=True) if w)
    results = result if isinstance(result, tuple) else (result,) * (result is not None)
    return tuple(t.detach() for t in results + written)


def disagreement(name: str, found: Any, expected: Any) -> str | None:
    if isinstance(found, Exception) and isinstance(expected, Exception):
        return None
    error = found if isinstance(found, Exception) else expected
    if any(word in str(error) for word in MEMORY):
        return None
    if "index was not built" in str(error) or (error is expected and "index" in name):
        return None  # which bytes are trees only their own backend knows
    which = ("native", "torch") if error is found else ("torch", "native")
    return f"{which[0]} refuses what {which[1]} takes: {str(error).splitlines()[0]}"


def shapes(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> str | None:
    for at, (one, other) in enumerate(zip(found, expected, strict=True)):
        if one.shape != other.shape or one.dtype != other.dtype or one.device != other.device:
            return f"result {at} is {one.shape} {one.dtype}, on torch {other.shape} {other.dtype}"
    return None


def values(name: str, found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> str | None:
    for at, (one, other) in enumerate(zip(found, expected, strict=True)):
        if at in LOOSE.get(name, ()) or one.is_meta:
            continue
        if one.is_floating_point():
            scale = float(other[other.isfinite()].abs().max()) if other.isfinite().any() else 1
            close = torch.allclose(one, other, rtol=1e-3, atol=1e-4 * max(scale, 1), equal_nan=True)
        else:
            close = torch.equal(one, other)
        if not close:
            return f"result {at} differs: {one.flatten()[:8]} and on torch {other.flatten()[:8]}"
    return None
