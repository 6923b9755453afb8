"""Where operators are declared and the backend that serves them is chosen.

Every operator is declared once, in Python, with a pure-torch twin that works on any device. Two
libraries add faster kernels under the same schema, one for the CPU and one for CUDA, so torch's own
dispatcher picks the backend: cuda, then native CPU, then torch.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, Literal

import torch
from torch._ops import OpOverload

from pcclust.ops._checks import check_dense, check_together
from pcclust.ops._clouds import Clouds, check_finite
from pcclust.ops._interrupt import raise_pending, watch
from pcclust.ops._layouts import readable
from pcclust.ops._libraries import load_cuda, load_native, warn_of_fallback

Backend = Literal["torch", "cpu", "cuda"]
BACKENDS: tuple[Backend, ...] = ("torch", "cpu", "cuda")
TWIN = "_torch"

LIBRARY = torch.library.Library("pcclust", "DEF")  # type: ignore[no-untyped-call]
_declared: list[str] = []
taken_to_cpu: set[str] = set()
_override: ContextVar[Backend | None] = ContextVar("pcclust backend", default=None)


native, native_reason = load_native()
if native is not None:
    watch(native)
cuda, cuda_reason = load_cuda()


def declare(
    schema: str, twin: Callable[..., Any], fake: Callable[..., Any], *, on_cpu: bool = False
) -> None:
    """Declares ``pcclust::<schema>`` with its pure-torch twin and its fake kernel.

    An operator on ``points`` also gets a vmap rule, from the names in its schema: ``points`` and
    ``queries`` are rows of many clouds, ``starts`` and ``query_starts`` say where each begins, and
    of all other tensors the first dimension goes with the rows or the clouds. Results named
    ``indices`` count rows where ``packed`` is true.

    Args:
        schema: the operator's schema, e.g. ``"knn(Tensor points, int k) -> Tensor"``.
        twin: the implementation in plain torch, which is both fallback and reference.
        fake: returns empty outputs of the right shape and dtype, for the compilers.
        on_cpu: whether tensors on a GPU are taken to the CPU, whose kernel is faster there and back
            than any twin: for what is one short step after another.
    """
    name = schema.split("(", 1)[0]
    _declared.append(name)
    _define(name, schema, twin, fake)
    if on_cpu:
        taken_to_cpu.add(name)
        LIBRARY.impl(name, partial(run_on_cpu, name), "CUDA")  # type: ignore[no-untyped-call]
    # A name that only the twin serves, for those who demand the torch backend.
    _define(f"{name}{TWIN}", schema.replace(name, f"{name}{TWIN}", 1), twin, fake)


def run_on_cpu(name: str, *args: Any) -> torch.Tensor:  # noqa: ANN401
    """Runs the operator ``name`` on copies of its tensors; the result is on their device."""
    given = [a.cpu() if isinstance(a, torch.Tensor) else a for a in args]
    device = next(a.device for a in args if isinstance(a, torch.Tensor))
    with torch.no_grad():
        result: torch.Tensor = getattr(torch.ops.pcclust, name)(*given)
    return result.to(device)


def declared() -> tuple[str, ...]:
    """Returns the names of all operators, sorted."""
    return tuple(sorted(_declared))


def _define(
    name: str, schema: str, implementation: Callable[..., Any], fake: Callable[..., Any]
) -> None:
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))  # type: ignore[no-untyped-call]
    checked = _checking(check_dense, implementation)
    LIBRARY.impl(name, checked, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]
    torch.library.register_fake(f"pcclust::{name}", _checking(check_together, fake), lib=LIBRARY)
    operator = getattr(torch.ops.pcclust, name).default
    if any(argument.name == "points" for argument in operator._schema.arguments):
        torch.library.register_vmap(operator, partial(_run_batch, operator), lib=LIBRARY)


def _checking(
    check: Callable[[Iterator[torch.Tensor]], None], function: Callable[..., Any]
) -> Callable[..., Any]:
    """Lets a function be called only with tensors that pass a check, and gives it no gradient."""

    @wraps(function)
    def checked(*args: Any) -> Any:  # noqa: ANN401
        values = (v for a in args for v in (a if isinstance(a, (list, tuple)) else (a,)))
        check(value for value in values if isinstance(value, torch.Tensor))
        try:
            with torch.no_grad():
                return function(*args)
        except IndexError as error:  # of a shape that has fewer dimensions
            raise RuntimeError(f"a tensor has too few dimensions: {error}") from error

    return checked


def _run_batch(operator: OpOverload, info: Any, in_dims: tuple[Any, ...], *args: Any) -> Any:  # noqa: ANN401
    """Runs an operator under vmap in one call: the batch is laid out as more clouds."""
    names = [argument.name for argument in operator._schema.arguments]
    batched = {
        name: _batch_first(value, dim, info.batch_size)
        for name, value, dim in zip(names, args, in_dims, strict=True)
    }
    number = torch.arange(info.batch_size, device=batched["points"].device)
    for rows, starts in (("points", "starts"), ("queries", "query_starts")):
        if batched.get(rows) is not None:
            first_row = number * batched[rows].shape[1]
            batched[starts] = batched[starts] + first_row[:, None]
    values = {
        name: value.flatten(0, 1).contiguous() if isinstance(value, torch.Tensor) else value
        for name, value in batched.items()
    }
    _check_batch(values, info.batch_size)
    results = operator(*values.values())
    several = isinstance(results, tuple)
    unfolded = [
        result.view(info.batch_size, result.shape[0] // info.batch_size, *result.shape[1:])
        for result in (results if several else (results,))
    ]
    if values.get("packed"):
        _count_from(unfolded, operator, number * batched["points"].shape[1])
    return (tuple(unfolded), (0,) * len(unfolded)) if several else (unfolded[0], 0)


def _batch_first(value: Any, dim: int | None, batch: int) -> Any:  # noqa: ANN401
    """Returns a tensor with its batch in front, repeated where it has none."""
    if not isinstance(value, torch.Tensor):
        return value
    return value.movedim(dim, 0) if dim is not None else value.expand(batch, *value.shape)


def _check_batch(values: dict[str, Any], batch: int) -> None:
    """Refuses NaN and inf, which nobody could see before: under vmap values are hidden."""
    for name, starts, sizes in (
        ("points", "starts", "sizes"),
        ("queries", "query_starts", "query_sizes"),
    ):
        rows = values.get(name)
        if rows is not None and readable(rows) and readable(values[sizes]):
            shape = (batch, rows.shape[0] // batch)
            clouds = Clouds(rows, values[starts], values[sizes], shape, False, None)
            check_finite(clouds, name)


def _count_from(results: list[torch.Tensor], operator: OpOverload, first_row: torch.Tensor) -> None:
    """Makes the rows in results named ``indices`` count from the first of each batch entry."""
    for at, returned in enumerate(operator._schema.returns):
        if returned.name == "indices":
            rows = results[at]
            first = first_row.view(-1, *(1,) * (rows.dim() - 1))
            results[at] = torch.where(rows >= 0, rows - first, rows)


def call(name: str, *args: Any) -> Any:  # noqa: ANN401
    """Runs the operator ``name`` on the backend in force; a signal may end it."""
    if torch.compiler.is_compiling():
        return getattr(torch.ops.pcclust, name)(*args)
    device = next(a.device.type for a in args if isinstance(a, torch.Tensor))
    backend = forced_backend()
    if backend is not None:
        _refuse_unless_served(backend, device)
    if backend == "torch":
        name += TWIN
    else:
        say_if_slower(device)
    try:
        return getattr(torch.ops.pcclust, name)(*args)
    except RuntimeError as error:
        if "interrupted" in str(error):
            raise_pending()
        raise


def say_if_slower(device: str) -> None:
    """Warns, once, where the kernels for a device's tensors are missing against expectation."""
    if device == "cpu" and native is None:
        warn_of_fallback(device, native_reason)
    if device == "cuda" and cuda is None:
        warn_of_fallback(device, cuda_reason)


def forced_backend() -> Backend | None:
    """Returns the backend that ``use_backend`` or ``PCCLUST_BACKEND`` demands, or None."""
    override = _override.get()
    if override is not None:
        return override
    wish = os.environ.get("PCCLUST_BACKEND")
    if not wish:
        return None
    for backend in BACKENDS:
        if wish == backend:
            return backend
    raise ValueError(f"PCCLUST_BACKEND={wish!r} is none of {', '.join(BACKENDS)}")


@contextmanager
def use_backend(backend: Backend) -> Iterator[None]:
    """Runs the operations of a ``with`` block on one backend, whatever is faster.

    Args:
        backend: ``"torch"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: there is no such backend.
        RuntimeError: that backend is not available here; the message says why.

    Example:
        >>> import pcclust, torch
        >>> with pcclust.use_backend("torch"):
        ...     pcclust.knn(torch.eye(3), 1).indices.flatten().tolist()
        [0, 1, 2]
    """
    if backend not in BACKENDS:
        raise ValueError(f"backend {backend!r} is none of {', '.join(BACKENDS)}")
    reason = why_missing(backend)
    if reason is not None:
        raise RuntimeError(f"backend {backend!r} is not available: {reason}")
    token = _override.set(backend)
    try:
        yield
    finally:
        _override.reset(token)


def why_missing(backend: Backend) -> str | None:
    """Returns why ``backend`` cannot be used, or None where it can."""
    if backend == "cpu" and native is None:
        return native_reason
    if backend == "cuda" and cuda is None:
        return cuda_reason
    if backend == "cuda" and not torch.cuda.is_available():
        return "the CUDA kernels are built, but no CUDA device is visible"
    return None


def _refuse_unless_served(backend: Backend, device: str) -> None:
    """Raises where the demanded backend is missing or does not run on the tensors' device."""
    reason = why_missing(backend)
    if reason is None and backend in ("cpu", "cuda") and device != backend:
        reason = f"the points are on {device!r}"
    if reason is not None:
        raise RuntimeError(f"the {backend!r} backend is demanded, but cannot serve: {reason}")
