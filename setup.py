"""Builds pcclust and, where a compiler and torch are at hand, its native libraries.

The libraries hold operators against libtorch's stable ABI and no Python, so one wheel serves every
Python and every torch from the oldest on. Each is compiled by its Makefile. Where one cannot be
built, or with ``PCCLUST_BUILD=0``, pcclust installs as pure PyTorch: every operation works, and the
reason stays in the package, for `pcclust info` and for the first call that is slower. The CUDA
kernels are built where there are nvcc and a torch with CUDA, or where ``PCCLUST_CUDA=1`` demands
them.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "build_backend"))

from pcclust_build import COMPILERS, find_compiler  # noqa: E402
from torch_place import OLDEST, find_torch, torch_fact  # noqa: E402

NATIVE, CUDA = "pcclust._native", "pcclust._cuda"
# Read by pcclust/ops/_libraries.py: why a library is missing, by the last part of its name.
REASONS = "_not_built.json"


class NotBuiltError(Exception):
    """Why a library is not built."""


def make_native(library: Path) -> None:
    """Compiles and links the native library."""
    if os.environ.get("PCCLUST_BUILD") == "0":
        raise NotBuiltError("PCCLUST_BUILD=0")
    compiler = find_compiler()
    if compiler is None:
        raise NotBuiltError(f"there is no C++ compiler ({', '.join(COMPILERS)})")
    make("csrc", library, CXX=compiler, TORCH=torch_folder())


def make_cuda(library: Path) -> None:
    """Compiles and links the CUDA kernels."""
    reason = why_no_cuda()
    if reason is not None:
        raise NotBuiltError(reason)
    nvcc = find_nvcc()
    if nvcc is None:
        raise NotBuiltError("there is no nvcc; install the CUDA toolkit, or set CUDA_HOME")
    targets = {} if os.environ.get("PCCLUST_CUDA") == "1" else {"CUDA_TARGETS": gpu_targets()}
    make("csrc/cuda", library, NVCC=nvcc, TORCH=torch_folder(), **targets)


def make(folder: str, library: Path, **variables: str | Path) -> None:
    """Runs a Makefile of the sources, and says what it printed where it fails."""
    if shutil.which("make") is None:
        raise NotBuiltError("there is no make")
    # What is compiled alike is compiled once, whether for a wheel or for work in place.
    flags = sorted((n, v) for n, v in os.environ.items() if n.endswith(("FLAGS", "_TARGETS")))
    alike = hashlib.sha256(repr((flags, variables)).encode()).hexdigest()[:12]
    build = ROOT.resolve() / "build" / f"{library.stem}-{alike}"
    places = {"BUILD": build, "LIBRARY": library.resolve(), **variables}
    command = ["make", "-C", str(ROOT / folder), f"-j{os.cpu_count()}", "library"]
    command += [f"{name}={value}" for name, value in places.items()]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    sys.stderr.write(done.stderr)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "rror" in line] or ["no message"]
        raise NotBuiltError(f"the compiler failed: {lines[0].strip()}")


def torch_folder() -> Path:
    """Returns the folder of torch to build against."""
    folder = find_torch()
    if folder is None:
        raise NotBuiltError(f"there is no torch>={OLDEST[0]}.{OLDEST[1]} at build time")
    return folder


def why_no_cuda() -> str | None:
    """Returns the reason not to build the CUDA kernels, or None.

    ``PCCLUST_CUDA=1`` demands them, for all architectures and even with a torch that has no CUDA;
    ``PCCLUST_CUDA=0`` forbids. Else they are built for the GPUs of this machine.
    """
    wish = os.environ.get("PCCLUST_CUDA")
    if wish == "1":
        return None
    if wish == "0" or os.environ.get("PCCLUST_BUILD") == "0":
        return "PCCLUST_CUDA=0" if wish == "0" else "PCCLUST_BUILD=0"
    if torch_fact(torch_folder(), "cuda") is None:
        return "the torch it was built with has no CUDA"
    if find_nvcc() is None:
        return "there was no nvcc"
    return None if gpu_targets() else "the machine that built it has no GPU, and no PCCLUST_CUDA=1"


def gpu_targets() -> str:
    """Returns the architectures to compile for: those asked for, or those of the GPUs here."""
    asked = os.environ.get("CUDA_TARGETS")
    if asked or shutil.which("nvidia-smi") is None:
        return asked or ""
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return " ".join(sorted(set(re.findall(r"^\d+\.\d+$", done.stdout, re.M)))).replace(".", "")


def find_nvcc() -> str | None:
    """Returns CUDA's compiler: that of CUDA_HOME, or the first on the path."""
    home = os.environ.get("CUDA_HOME", "/usr/local/cuda")
    return shutil.which("nvcc", path=f"{home}/bin") or shutil.which("nvcc")


class BuildLibraries(build_ext):
    """Builds what can be built, and keeps the reasons for what cannot."""

    def get_ext_filename(self, fullname: str) -> str:
        """Returns a name without Python's own ABI, which the libraries do not use."""
        return str(Path(*fullname.split("."))) + ".so"

    def build_extensions(self) -> None:
        """Builds each library; a failure is a reason, and an error where it was demanded."""
        makers: dict[str, Callable[[Path], None]] = {NATIVE: make_native, CUDA: make_cuda}
        reasons = {}
        for extension in self.extensions:
            library = Path(self.get_ext_fullpath(extension.name))
            name = extension.name.rpartition(".")[2]
            library.unlink(missing_ok=True)
            try:
                makers[extension.name](library)
            except NotBuiltError as error:
                if os.environ.get(DEMANDS[extension.name]) == "1":
                    raise
                reasons[name] = str(error)
        if "_native" in reasons:
            say_aloud(f"pcclust is installed without its native kernels: {reasons['_native']}")
        library.parent.mkdir(parents=True, exist_ok=True)
        (library.parent / REASONS).write_text(json.dumps(reasons, indent=1))

    def copy_extensions_to_source(self) -> None:
        """Copies the libraries and the reasons beside the sources, for work in place."""
        for old in [*(ROOT / "pcclust").glob("_native*.so"), *(ROOT / "pcclust").glob("_cuda*.so")]:
            old.unlink()
        super().copy_extensions_to_source()
        built = Path(self.build_lib) / "pcclust" / REASONS
        shutil.copy(built, ROOT / "pcclust" / REASONS)


# By these variables a library is demanded (1) or forbidden (0).
DEMANDS = {NATIVE: "PCCLUST_BUILD", CUDA: "PCCLUST_CUDA"}


class BundleData(build_py):
    """Puts the bundled shapes, which lie in data/, into the package."""

    def run(self) -> None:
        """Copies the package; an installation in place finds the shapes where they lie."""
        target = Path(self.build_lib) / "pcclust"
        if not self.editable_mode:
            shutil.rmtree(target, ignore_errors=True)  # of an earlier build, with files since gone
        super().run()
        if not self.editable_mode:
            shutil.copytree(ROOT / "data", target / "_bundled")


class PlatformWheel(bdist_wheel):
    """Names a wheel by its platform alone, and not even that where no library was built."""

    def get_tag(self) -> tuple[str, str, str]:
        """Returns the tag: the libraries use nothing of Python's own ABI."""
        built = any((Path(self.bdist_dir) / "pcclust").glob("*.so"))
        return "py3", "none", super().get_tag()[2] if built else "any"


def say_aloud(message: str) -> None:
    """Prints on the error stream and, where a tool such as pip swallows that, on the terminal."""
    text = (
        f"\nWARNING: {message}.\n"
        "         Every operation works, in pure PyTorch, several times slower.\n"
        "         `pcclust info` says so too, and how to mend it.\n"
    )
    print(text, file=sys.stderr)
    if not sys.stderr.isatty():
        with suppress(OSError), Path("/dev/tty").open("w") as terminal:
            terminal.write(text)


def run_setup(**options: Any) -> None:  # noqa: ANN401
    """Describes the package; what is the same for everybody stands in pyproject.toml."""
    extensions = [Extension(name, sources=[], optional=True) for name in (NATIVE, CUDA)]
    commands = {"build_ext": BuildLibraries, "build_py": BundleData, "bdist_wheel": PlatformWheel}
    setup(ext_modules=extensions, cmdclass=commands, **options)


run_setup()
