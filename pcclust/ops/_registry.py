"""Where operators are declared and the tier that serves them is chosen.

Every operator is declared once, in Python, with a pure-torch twin that works on any device. The
native library adds a faster kernel for the CPU (and later one for CUDA) under the same schema, so
torch's own dispatcher picks the tier: cuda, then native CPU, then torch.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal

import torch

Tier = Literal["torch", "cpu", "cuda"]
TIERS: tuple[Tier, ...] = ("torch", "cpu", "cuda")

LIBRARY = torch.library.Library("pcclust", "DEF")
_twins: dict[str, Callable[..., Any]] = {}
_override: Tier | None = None


def _load_native() -> tuple[ModuleType | None, str]:
    """Imports the native library; returns it, or None and the reason."""
    if os.environ.get("PCCLUST_BACKEND") == "torch":
        return None, "PCCLUST_BACKEND=torch"
    try:
        from pcclust import _native  # type: ignore[attr-defined, unused-ignore]
    except ImportError as error:
        if "_native" in str(error) and "undefined symbol" not in str(error):
            return None, "the native library was not built (see the warning of the installation)"
        return None, f"the native library does not load: {error}"
    return _native, "built and loaded"


native, native_reason = _load_native()


def declare(schema: str, twin: Callable[..., Any], fake: Callable[..., Any]) -> None:
    """Declares ``pcclust::<schema>`` with its pure-torch twin and its fake kernel.

    Args:
        schema: the operator's schema, e.g. ``"knn(Tensor points, int k) -> Tensor"``.
        twin: the implementation in plain torch, which is both fallback and reference.
        fake: returns empty outputs of the right shape and dtype, for the compilers.
    """
    name = schema.split("(", 1)[0]
    LIBRARY.define(schema, tags=(torch.Tag.pt2_compliant_tag,))
    LIBRARY.impl(name, twin, "CompositeExplicitAutograd")
    torch.library.register_fake(f"pcclust::{name}", fake, lib=LIBRARY)
    _twins[name] = twin


def call(name: str, *args: Any) -> Any:  # noqa: ANN401
    """Runs the operator ``name`` on the tier in force."""
    if not torch.compiler.is_compiling() and forced_tier() is not None:
        device = next(a.device.type for a in args if isinstance(a, torch.Tensor))
        _refuse_unless_served(forced_tier(), device)
        if forced_tier() == "torch":
            return _twins[name](*args)
    return getattr(torch.ops.pcclust, name)(*args)


def forced_tier() -> Tier | None:
    """Returns the tier that ``use_backend`` or ``PCCLUST_BACKEND`` demands, or None."""
    if _override is not None:
        return _override
    wish = os.environ.get("PCCLUST_BACKEND")
    if not wish:
        return None
    for tier in TIERS:
        if wish == tier:
            return tier
    raise ValueError(f"PCCLUST_BACKEND={wish!r} is none of {', '.join(TIERS)}")


@contextmanager
def use_backend(tier: Tier) -> Iterator[None]:
    """Runs the operations of a ``with`` block on one tier, whatever is faster.

    Args:
        tier: ``"torch"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: there is no such tier.
        RuntimeError: that tier is not available here; the message says why.

    Example:
        >>> import pcclust, torch
        >>> with pcclust.use_backend("torch"):
        ...     pcclust.knn(torch.eye(3), 1).indices.flatten().tolist()
        [0, 1, 2]
    """
    global _override
    if tier not in TIERS:
        raise ValueError(f"backend {tier!r} is none of {', '.join(TIERS)}")
    reason = why_missing(tier)
    if reason is not None:
        raise RuntimeError(f"backend {tier!r} is not available: {reason}")
    previous, _override = _override, tier
    try:
        yield
    finally:
        _override = previous


def why_missing(tier: Tier) -> str | None:
    """Returns why ``tier`` cannot be used, or None where it can."""
    if tier == "cpu" and native is None:
        return native_reason
    if tier == "cuda":
        return "this version has no CUDA kernels; CUDA tensors run on the torch tier"
    return None


def _refuse_unless_served(tier: Tier | None, device: str) -> None:
    """Raises where the demanded tier is missing or does not run on the tensors' device."""
    reason = why_missing(tier) if tier is not None else None
    if reason is None and tier in ("cpu", "cuda") and device != tier:
        reason = f"the points are on {device!r}"
    if reason is not None:
        raise RuntimeError(f"the {tier!r} backend is demanded, but cannot serve: {reason}")
