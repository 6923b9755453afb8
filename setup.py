"""Builds pcclust and, where a compiler and torch are at hand, its native extensions.

Without them, or with ``PCCLUST_BUILD=0``, pcclust installs as pure PyTorch: every operation works
and one warning says what is missing. The CUDA kernels are a library of their own, built where there
are nvcc and a torch with CUDA, or where ``PCCLUST_CUDA=1`` demands them.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
# The oldest libtorch whose stable ABI the extension may use; newer ones load it unchanged.
TORCH_TARGET_VERSION = "0x020b000000000000"


def why_pure() -> str | None:
    """Returns the reason not to build the native extension, or None."""
    if os.environ.get("PCCLUST_BUILD") == "0":
        return "PCCLUST_BUILD=0"
    try:
        import torch.utils.cpp_extension  # noqa: F401
    except ImportError as error:
        return f"{error.name} is not there at build time"
    return None


def warn_pure(reason: str) -> None:
    """Says once, clearly, that pcclust will run on its slower backend."""
    print(
        f"\nWARNING: pcclust is installed without its native kernels ({reason}).\n"
        "         Every operation works, in pure PyTorch, several times slower.\n"
        "         To change that: install a C++20 compiler and torch>=2.11, then\n"
        "         pip install --no-build-isolation --force-reinstall --no-deps pcclust\n",
        file=sys.stderr,
    )


def warn_no_cuda(reason: str) -> None:
    """Says that CUDA tensors will run on the torch backend."""
    print(
        f"\nWARNING: pcclust is installed without its CUDA kernels ({reason}).\n"
        "         CUDA tensors run in pure PyTorch, several times slower.\n",
        file=sys.stderr,
    )


def native_extension() -> Extension:
    """Describes the library of stable-ABI operators, which no Python needs to be linked to."""
    from torch.utils.cpp_extension import include_paths, library_paths

    # The baseline comes first: where instruction sets share a standard inline function, the linker
    # keeps the first it meets, and every processor runs that one.
    found = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("csrc/*/*.cpp"))
    sources = ["csrc/isa/baseline.cpp"]
    sources += [path for path in found if path not in sources]
    compile_args = [
        "-std=c++20",
        "-O3",
        "-g0",
        "-fvisibility=hidden",
        # design.md, contract 1: every operation is rounded, so no fused multiply-add by itself.
        "-ffp-contract=off",
        "-fno-math-errno",
        "-fno-trapping-math",
        "-Wall",
        # GCC 12 takes its own AVX-512 intrinsics for uninitialised.
        "-Wno-maybe-uninitialized",
        "-Wno-uninitialized",
        # 64-byte vectors are lowered on smaller machines; they never cross a library's boundary.
        "-Wno-psabi",
        f"-DTORCH_TARGET_VERSION={TORCH_TARGET_VERSION}",
    ]
    return Extension(
        "pcclust._native",
        sources,
        include_dirs=[str(ROOT / "csrc"), *include_paths()],
        library_dirs=library_paths(),
        libraries=["torch_cpu"],
        extra_compile_args=compile_args + os.environ.get("PCCLUST_CXXFLAGS", "").split(),
        extra_link_args=os.environ.get("PCCLUST_LDFLAGS", "").split(),
        language="c++",
    )


def why_no_cuda() -> str | None:
    """Returns the reason not to build the CUDA kernels, or None.

    ``PCCLUST_CUDA=1`` demands them, even with a torch that has no CUDA; ``PCCLUST_CUDA=0`` forbids.
    """
    import torch

    wish = os.environ.get("PCCLUST_CUDA")
    if wish == "1":
        return None
    if wish == "0":
        return "PCCLUST_CUDA=0"
    if torch.version.cuda is None:
        return "this torch has no CUDA"
    return None if find_nvcc() else "there is no nvcc"


def find_nvcc() -> str | None:
    """Returns CUDA's compiler: that of CUDA_HOME, or the first on the path."""
    from torch.utils.cpp_extension import CUDA_HOME

    return shutil.which("nvcc", path=f"{CUDA_HOME}/bin") or shutil.which("nvcc")


def cuda_extension() -> Extension:
    """Describes the CUDA kernels: a library of its own, which csrc/cuda/Makefile builds."""
    sources = [*ROOT.glob("csrc/cuda/*.cu*"), *ROOT.glob("csrc/cuda/*.h")]
    depends = sorted(str(path.relative_to(ROOT)) for path in sources)
    return Extension("pcclust._cuda", sources=[], depends=depends)


def make_cuda(library: Path, build: Path) -> None:
    """Compiles and links the CUDA kernels."""
    import torch

    nvcc = find_nvcc()
    if nvcc is None:
        raise RuntimeError("there is no nvcc; install the CUDA toolkit, or set CUDA_HOME")
    variables = {
        "NVCC": nvcc,
        "TORCH": Path(torch.__file__).parent,
        "BUILD": build.resolve(),
        "LIBRARY": library.resolve(),
    }
    command = ["make", "-C", str(ROOT / "csrc" / "cuda"), f"-j{os.cpu_count()}", "library"]
    subprocess.run([*command, *(f"{k}={v}" for k, v in variables.items())], check=True)


def build_command() -> type:
    """Returns torch's ninja build, made to warn instead of failing the installation."""
    from torch.utils.cpp_extension import BuildExtension

    class OptionalBuildExtension(BuildExtension):
        def run(self) -> None:
            try:
                super().run()
            except Exception as error:  # any compiler failure leaves a working pure-torch package
                if "1" in (os.environ.get("PCCLUST_BUILD"), os.environ.get("PCCLUST_CUDA")):
                    raise
                self.extensions = []
                warn_pure(f"the compiler failed: {str(error).splitlines()[0]}")

        def build_extension(self, extension: Extension) -> None:
            if extension.name != "pcclust._cuda":
                return super().build_extension(extension)
            library = Path(self.get_ext_fullpath(extension.name))
            try:
                make_cuda(library, Path(self.build_temp) / "cuda")
            except Exception as error:
                if os.environ.get("PCCLUST_CUDA") == "1":
                    raise
                self.extensions = [other for other in self.extensions if other is not extension]
                warn_no_cuda(str(error).splitlines()[0])

    return OptionalBuildExtension.with_options(use_ninja=True, no_python_abi_suffix=True)


reason = why_pure()
if reason is not None:
    warn_pure(reason)
    setup()
else:
    extensions = [native_extension()]
    if why_no_cuda() is None:
        extensions.append(cuda_extension())
    setup(ext_modules=extensions, cmdclass={"build_ext": build_command()})
