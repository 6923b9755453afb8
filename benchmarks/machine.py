"""Facts that a reader needs to judge or repeat the numbers."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import pcclust
from benchmarks import clouds
from pcclust.ops._registry import why_missing

ROOT = Path(__file__).parent.parent
CODE = ("pcclust", "csrc", "setup.py", "benchmarks/*.py")
PEERS = (
    "numpy",
    "scipy",
    "scikit-learn",
    "pynanoflann",
    "small_gicp",
    "open3d",
    "faiss-cpu",
    "fpsample",
    "fastcluster",
    "torch-cluster",
    "torch-geometric",
)


def facts(threads: int) -> dict[str, str]:
    """Returns what the numbers depend on: the machine, the versions, the data."""
    backend = why_missing("cpu")
    return {
        "processor": f"{processor()}, {os.cpu_count()} cores, of which {threads} are used",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "load before the run": f"{os.getloadavg()[0]:.2f} (last minute)",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "torch": f"{torch.__version__}, {torch.get_num_threads()} threads",
        "pcclust": f"{pcclust.__version__}{commit()}, "
        + ("native kernels" if backend is None else f"torch backend: {backend}"),
        "peers": ", ".join(f"{name} {installed(name)}" for name in PEERS),
        "clouds of up to 1,024 points": clouds.source(),
    }


def processor() -> str:
    """Returns the processor's name, with its family and model where the name does not tell."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return platform.processor() or platform.machine()
    lines = (line.partition(":") for line in info.read_text().splitlines())
    found = {key.strip(): value.strip() for key, _, value in lines}
    name = found.get("model name", platform.machine())
    if "cpu family" in found:
        name += f" (family {found['cpu family']}, model {found['model']})"
    return name


def commit(root: Path = ROOT) -> str:
    """Returns the commit of a working tree in brackets, or nothing outside a repository.

    It is dirty where code is changed. A page that a benchmark has just written changes nothing.
    """
    try:
        head = _git(root, "rev-parse", "--short", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no", "--", *CODE)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({head}{'-dirty' if changed else ''})"


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def installed(package: str) -> str:
    """Returns a package's version, or that it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
