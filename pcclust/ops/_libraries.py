"""The native libraries: where they are, and why one is missing.

Both lie in the package's folder and hold operators against libtorch's stable ABI and nothing of
Python, so `torch.ops.load_library` loads them into any Python. Where the installation could not
build one, it left the reason in a file.
"""

import json
import os
import warnings
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit

import torch

PACKAGE = Path(__file__).parent.parent
BUILT = "built and loaded"
_warned: set[str] = set()


def load_native() -> tuple[Path | None, str]:
    """Loads the CPU's kernels; returns where they are, or None and the reason."""
    if os.environ.get("PCCLUST_BACKEND") == "torch":
        return None, "PCCLUST_BACKEND=torch"
    return _load("native", "native kernels")


def load_cuda() -> tuple[Path | None, str]:
    """Loads the CUDA kernels; returns where they are, or None and the reason."""
    if os.environ.get("PCCLUST_BACKEND") == "torch":
        return None, "PCCLUST_BACKEND=torch"
    if torch.version.cuda is None:
        return None, "this torch has no CUDA"
    return _load("cuda", "CUDA kernels")


def warn_of_fallback(device: str, reason: str) -> None:
    """Warns once a process that the operators for a device run in pure PyTorch, and why."""
    if device in _warned or reason.startswith("PCCLUST_BACKEND") or "torch has no" in reason:
        return
    _warned.add(device)
    warnings.warn(
        f"pcclust computes in pure PyTorch, several times slower: {reason}",
        RuntimeWarning,
        stacklevel=4,
    )


def mending() -> str:
    """Returns the command that builds the libraries anew, from where pcclust was installed.

    Example:
        >>> mending().startswith("pip install --force-reinstall --no-deps ")
        True
    """
    return f"pip install --force-reinstall --no-deps {_installed_from()}"


def _load(kind: str, what: str) -> tuple[Path | None, str]:
    library = PACKAGE / f"_{kind}.so"
    if not library.is_file():
        return None, f"the {what} were not built ({_why_not_built(kind)}); to build: {mending()}"
    try:
        torch.ops.load_library(library)  # type: ignore[no-untyped-call]
    except OSError as error:
        reason = f"the {what} do not load ({error}); to build them anew: {mending()}"
        return None, reason
    return library, BUILT


def _why_not_built(kind: str) -> str:
    """Returns the reason that the installation left."""
    try:
        reasons = json.loads((PACKAGE / "_not_built.json").read_text())
        return str(reasons[f"_{kind}"])
    except (OSError, ValueError, KeyError):
        return "pcclust runs from sources that were never built"


def _installed_from() -> str:
    """Returns what to name to pip: the folder that pcclust was installed from, or its name."""
    try:
        origin = json.loads(distribution("pcclust").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        origin = {}
    if not origin.get("url", "").startswith("file:"):
        return "--no-cache-dir pcclust"
    place = unquote(urlsplit(origin["url"]).path)
    return f"--editable {place}" if origin.get("dir_info", {}).get("editable") else place
