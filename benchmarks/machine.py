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


def commit() -> str:
    """Returns the commit of the working tree in brackets, or nothing outside a repository."""
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    try:
        found = subprocess.run(git, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f" ({found.stdout.strip()})"


def installed(package: str) -> str:
    """Returns a package's version, or that it is missing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
