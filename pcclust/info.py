"""What this installation of pcclust runs on, and why."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType

import numpy as np
import torch

from pcclust._version import __version__
from pcclust.ops import _registry
from pcclust.ops._facts import cuda_facts, native_facts
from pcclust.ops._registry import Backend


@dataclass(frozen=True)
class OperatorInfo:
    """Which backend serves an operator.

    Attributes:
        name: of the operator.
        cpu: the backend for tensors on a CPU.
        cuda: the backend for tensors on a CUDA device.
        reasons: why these are not faster backends, or cannot run here; empty where every device has
            kernels of its own.
    """

    name: str
    cpu: Backend
    cuda: Backend
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class ReaderInfo:
    """Whether files of some formats can be read.

    Attributes:
        formats: their names.
        library: what reads them.
        version: of the library, or None where it is not installed.
        reason: why the formats cannot be read and what to do, or None where they can.
    """

    formats: str
    library: str
    version: str | None
    reason: str | None


@dataclass(frozen=True)
class Info:
    """What `info` returns.

    Attributes:
        versions: of pcclust, Python, PyTorch, NumPy and the platform.
        threads: how many threads the operators use on a CPU.
        native: facts about the build of the native library, or None where there is none.
        native_reason: why there is a native library or why there is none.
        cuda: facts about the build of the CUDA kernels, or None where there are none.
        cuda_reason: why CUDA tensors have kernels of their own or why they have none.
        operators: the backend of each operator.
        readers: the formats that can be read.
    """

    versions: dict[str, str]
    threads: int
    native: dict[str, str] | None
    native_reason: str
    cuda: dict[str, str] | None
    cuda_reason: str
    operators: tuple[OperatorInfo, ...]
    readers: tuple[ReaderInfo, ...]


def info() -> Info:
    """Says which backend serves each operator and why, and what else is installed.

    Example:
        >>> import pcclust
        >>> facts = pcclust.info()
        >>> {operator.name: operator.cpu for operator in facts.operators}["knn"] in ("cpu", "torch")
        True
    """
    return Info(
        versions=_versions(),
        threads=torch.get_num_threads(),
        native=native_facts(),
        native_reason=_registry.native_reason,
        cuda=cuda_facts(),
        cuda_reason=_registry.why_missing("cuda") or _registry.cuda_reason,
        operators=tuple(_operator(name) for name in _registry.declared()),
        readers=(
            _reader("meshes, PLY", "numpy", None),
            _reader("HDF5", "h5py", None),
            _reader("text, PCD, NPY, NPZ", "numpy", None),
            _reader("LAS, LAZ", "laspy", _require_laspy),
        ),
    )


def _versions() -> dict[str, str]:
    return {
        "pcclust": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _operator(name: str) -> OperatorInfo:
    cpu, why_not_native = _backend(name, "cpu")
    cuda, why_not_cuda = _backend(name, "cuda")
    reasons = dict.fromkeys(reason for reason in (why_not_native, why_not_cuda) if reason)
    return OperatorInfo(name, cpu, cuda, tuple(reasons))


def _backend(name: str, device: Backend) -> tuple[Backend, str | None]:
    """Returns the backend for tensors on a device, and what keeps it from that device's kernels."""
    if _registry.forced_backend() == "torch":
        return "torch", "the torch backend is demanded (PCCLUST_BACKEND or use_backend)"
    if device == "cuda" and name in _registry.taken_to_cpu:
        return _backend(name, "cpu")
    if torch._C._dispatch_has_kernel_for_dispatch_key(f"pcclust::{name}", device.upper()):
        return device, _registry.why_missing(device)
    library = _registry.native if device == "cpu" else _registry.cuda
    if library is None:
        return "torch", _registry.why_missing(device)
    return "torch", f"operators on the torch backend have no kernel for {device.upper()} tensors"


def _require_laspy() -> ModuleType:
    from pcclust.data._scans import require_laspy

    return require_laspy(compressed=True)


def _reader(formats: str, library: str, load: Callable[[], ModuleType] | None) -> ReaderInfo:
    """Imports an optional library, since one that is installed may still not load."""
    try:
        installed = version(library)
    except PackageNotFoundError:
        installed = None
    reason = None
    if load is not None:
        try:
            load()
        except ImportError as error:
            reason = str(error)
    return ReaderInfo(formats, library, installed, reason)
