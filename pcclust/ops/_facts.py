"""What the native libraries tell of how they were built."""

import ctypes
from pathlib import Path

from pcclust.ops import _registry


def native_facts() -> dict[str, str] | None:
    """Returns how the CPU kernels were built and which of them serve here; None without any."""
    return _facts(
        _registry.native, "native", ("compiler", "instruction_set", "torch_target_version")
    )


def cuda_facts() -> dict[str, str] | None:
    """Returns how the CUDA kernels were built, or None where there are none."""
    return _facts(_registry.cuda, "cuda", ("compiler", "targets"))


def _facts(library: Path | None, kind: str, names: tuple[str, ...]) -> dict[str, str] | None:
    if library is None:
        return None
    symbols = ctypes.CDLL(str(library))
    facts = {}
    for name in names:
        fact = symbols[f"pcclust_{kind}_{name}"]
        fact.restype = ctypes.c_char_p
        facts[name] = fact().decode()
    return facts
