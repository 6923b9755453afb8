"""The wheel: one build for many torches and any x86-64, and pure Python where nothing is built."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
# What the shared library may take from torch: the C functions of the stable ABI.
STABLE = re.compile(r"aoti_torch_|torch_|aoti_")
# The C++ standard library, of which torch holds copies.
STANDARD = re.compile(r"_ZN?K?V?S|_Znw|_Zdl|_ZT[VIS]N?S")
# Namespaces of torch's C++ ABI, which changes from release to release, in mangled names.
UNSTABLE = re.compile(r"_ZN?K?[^ ]*(2at|3c10|5torch3jit|5torch8autograd)")
INSTRUCTION_SETS = ("avx2", "avx512", "avx512vnni", "avx512bf16")


def build(folder: Path, **environment: str) -> tuple[Path, str]:
    """Builds a wheel from a copy of the tree; returns it and what the build said."""
    tree = folder / "tree"
    for name in ("build_backend", "csrc", "data", "pcclust"):
        ignored = shutil.ignore_patterns("*.so", "__pycache__")
        shutil.copytree(ROOT / name, tree / name, ignore=ignored)
    for file in ROOT.iterdir():
        if file.is_file():
            shutil.copy(file, tree)
    command = [sys.executable, "-m", "pip", "wheel", "-v", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(folder), str(tree)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    (wheel,) = folder.glob("*.whl")
    return wheel, output


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Builds the native wheel and returns the shared library that is in it."""
    folder = tmp_path_factory.mktemp("native")
    wheel, _ = build(folder, PCCLUST_BUILD="1")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".so") and "_native" in n]
        return Path(archive.extract(name, folder))


def symbols(library: Path, *options: str) -> list[list[str]]:
    """Returns the columns that nm prints of the dynamic symbols."""
    command = ["nm", "-D", *options, str(library)]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [line.split() for line in lines]


def test_takes_nothing_but_the_stable_abi_from_torch(library: Path) -> None:
    undefined = [columns[-1].split("@")[0] for columns in symbols(library, "--undefined-only")]
    assert any(STABLE.match(name) for name in undefined)
    assert [name for name in undefined if UNSTABLE.match(name)] == []
    torch_cpu = Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"
    torchs = {columns[-1].split("@")[0] for columns in symbols(torch_cpu, "--defined-only")}
    taken = [name for name in undefined if name in torchs and not STANDARD.match(name)]
    assert [name for name in taken if not STABLE.match(name)] == []


@pytest.mark.skipif(shutil.which("nvcc") is None, reason="there is no nvcc")
def test_the_cuda_library_needs_the_stable_abi_and_no_cuda_runtime(tmp_path: Path) -> None:
    library = tmp_path / "_cuda.so"
    command = ["make", "-C", str(ROOT / "csrc" / "cuda"), "library", "CUDA_TARGETS=75"]
    torch_folder = f"TORCH={Path(torch.__file__).parent}"
    places = [f"BUILD={tmp_path / 'build'}", f"LIBRARY={library}"]
    subprocess.run([*command, torch_folder, *places], check=True, capture_output=True)
    undefined = [columns[-1].split("@")[0] for columns in symbols(library, "--undefined-only")]
    assert "aoti_torch_get_current_cuda_stream" in undefined
    assert [name for name in undefined if UNSTABLE.match(name)] == []
    assert [name for name in undefined if name.startswith("cu")] == []
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True)
    assert "[libtorch_cuda.so]" in dynamic.stdout
    assert "libcudart" not in dynamic.stdout


def test_needs_no_python(library: Path) -> None:
    """So one library serves every version of it."""
    undefined = [columns[-1] for columns in symbols(library, "--undefined-only")]
    assert [name for name in undefined if name.lstrip("_").startswith("Py")] == []
    dynamic = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True)
    assert "libpython" not in dynamic.stdout


def test_gives_away_nothing_but_facts(library: Path) -> None:
    ours = {columns[-1] for columns in symbols(library, "--defined-only") if columns[-2] in "TDBR"}
    facts = ("compiler", "instruction_set", "torch_target_version")
    assert ours - {"_edata", "_end", "__bss_start"} == {
        "pcclust_watch_interrupts",
        "pcclust_raise_interrupt",
        *(f"pcclust_native_{fact}" for fact in facts),
    }


def functions_with(library: Path, registers: str) -> set[str]:
    """Returns the demangled functions whose instructions name such registers."""
    command = ["objdump", "-d", "-C", "--no-show-raw-insn", str(library)]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found: set[str] = set()
    name = ""
    wanted = re.compile(registers)
    for line in listing.splitlines():
        if line.endswith(">:"):
            name = line.split("<", 1)[1][:-2]
        elif wanted.search(line):
            found.add(name)
    return found


@pytest.mark.skipif("x86" not in os.uname().machine, reason="only x86-64 has several kernels")
def test_wide_registers_stay_inside_their_kernels(library: Path) -> None:
    """A function that all kernels share must run on a processor that has none of the wide ones."""
    for registers, allowed in (
        (r"%ymm|\bv[a-z]+[^#<]*%xmm", INSTRUCTION_SETS),
        (r"%zmm|%k[1-7]\b", ("avx512", "avx512vnni", "avx512bf16")),
    ):
        functions = functions_with(library, registers)
        assert any(f"::{isa}::" in name for name in functions for isa in allowed)
        outside = {n for n in functions if not any(f"{isa}::" in n for isa in allowed)}
        assert outside == set()


def test_without_a_build_the_wheel_is_pure_and_works(tmp_path: Path) -> None:
    wheel, output = build(tmp_path, PCCLUST_BUILD="0")
    assert "installed without its native kernels: PCCLUST_BUILD=0" in output
    assert wheel.name.endswith("-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert not [n for n in archive.namelist() if n.endswith((".so", ".cpp", ".h"))]
        weights = [path for path in (ROOT / "pcclust" / "weights").iterdir() if path.is_file()]
        assert {f"pcclust/weights/{path.name}" for path in weights} <= set(archive.namelist())
    site = tmp_path / "site"
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--target", str(site)]
    subprocess.run([*command, str(wheel)], check=True, capture_output=True)
    code = """
import torch, pcclust
print(pcclust.__file__)
print(pcclust.knn(torch.eye(3), 2).indices[:, 0].tolist())
from pcclust.ops import _registry
print(_registry.native_reason)
from pcclust.nn.weights_source import shipped_names
print([type(pcclust.load(name)).__name__ for name in shipped_names()])
"""
    environment = {k: v for k, v in os.environ.items() if k != "PCCLUST_BACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    where, result, reason, models = done.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    assert result == "[0, 1, 2]"
    assert "were not built (PCCLUST_BUILD=0)" in reason
    assert "ClusterNet" in models
