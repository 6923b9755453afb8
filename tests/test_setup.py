"""The installation: what is built, and what is said and kept where something is not."""

import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from setuptools import Distribution

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "build_backend"))

import pcclust_build  # noqa: E402
import torch_place  # noqa: E402

NATIVE, CUDA = "pcclust._native", "pcclust._cuda"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Returns what setup.py defines; it builds nothing when asked for its version."""
    monkeypatch.setattr(sys, "argv", ["setup.py", "--version"])
    monkeypatch.chdir(ROOT)
    for name in ("PCCLUST_BUILD", "PCCLUST_CUDA"):
        monkeypatch.delenv(name, raising=False)
    return runpy.run_path("setup.py")


def replace(script: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **functions: Any) -> None:
    for name, function in functions.items():
        monkeypatch.setitem(script["why_no_cuda"].__globals__, name, function)


@pytest.mark.parametrize(
    ("wish", "cuda", "nvcc", "reason"),
    [
        (None, None, "nvcc", "the torch it was built with has no CUDA"),
        (None, "13.0", None, "there was no nvcc"),
        (None, "13.0", "nvcc", None),
        ("0", "13.0", "nvcc", "PCCLUST_CUDA=0"),
        ("1", None, None, None),
    ],
)
def test_when_cuda_is_built(script, monkeypatch, wish, cuda, nvcc, reason):
    if wish is not None:
        monkeypatch.setenv("PCCLUST_CUDA", wish)
    replace(script, monkeypatch, torch_fact=lambda *_: cuda, find_nvcc=lambda: nvcc)
    monkeypatch.setenv("CUDA_TARGETS", "90")
    assert script["why_no_cuda"]() == reason


def test_cuda_is_built_for_the_gpus_of_the_machine(script, monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_TARGETS", raising=False)
    replace(script, monkeypatch, torch_fact=lambda *_: "13.0", find_nvcc=lambda: "nvcc")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "has no GPU" in script["why_no_cuda"]()
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 9.0\necho 8.6\necho 9.0\n")
    tool.chmod(0o755)
    assert script["gpu_targets"]() == "86 90"
    assert script["why_no_cuda"]() is None
    tool.write_text("#!/bin/sh\necho NVIDIA-SMI has failed\nexit 9\n")
    assert "has no GPU" in script["why_no_cuda"]()


def build(script: dict[str, Any], folder: Path) -> dict[str, str]:
    """Runs the build into a folder; returns the reasons that it keeps in the package."""
    distribution = Distribution({"name": "pcclust", "packages": []})
    distribution.ext_modules = [script["Extension"](name, []) for name in (NATIVE, CUDA)]
    command = script["BuildLibraries"](distribution)
    command.build_lib, command.build_temp = str(folder), str(folder / "temp")
    command.ensure_finalized()
    command.run()
    return json.loads((folder / "pcclust" / "_not_built.json").read_text())


def make_nothing(*_: Any, **__: Any) -> None:
    """Stands for a Makefile that succeeds."""


def test_a_failure_of_the_compiler_is_kept_and_said(script, monkeypatch, tmp_path, capfd):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\necho 'x.cpp:1: error: it is ill' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", str(compiler))
    reasons = build(script, tmp_path)
    assert "the compiler failed: x.cpp:1: error: it is ill" in reasons["_native"]
    errors = capfd.readouterr().err
    assert "installed without its native kernels: the compiler failed" in errors
    assert "pcclust info" in errors


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (
            {"find_compiler": lambda: None},
            r"there is no C\+\+ compiler \(c\+\+, g\+\+, clang\+\+\)",
        ),
        ({"find_torch": lambda: None}, r"there is no torch>=2\.11 at build time"),
    ],
)
def test_what_is_missing_is_kept_or_an_error_where_kernels_are_demanded(
    script, monkeypatch, tmp_path, fault, reason
):
    replace(script, monkeypatch, **fault)
    assert re.search(reason, build(script, tmp_path)["_native"])
    monkeypatch.setenv("PCCLUST_BUILD", "1")
    with pytest.raises(script["NotBuiltError"], match=reason):
        build(script, tmp_path)


def test_a_build_that_is_forbidden_is_kept(script, monkeypatch, tmp_path):
    monkeypatch.setenv("PCCLUST_BUILD", "0")
    assert build(script, tmp_path) == {"_native": "PCCLUST_BUILD=0", "_cuda": "PCCLUST_BUILD=0"}


def test_nothing_is_kept_of_what_was_built(script, monkeypatch, tmp_path, capfd):
    replace(script, monkeypatch, make=make_nothing, why_no_cuda=lambda: None, find_nvcc=lambda: "n")
    assert build(script, tmp_path) == {}
    assert "without its native kernels" not in capfd.readouterr().err


def test_a_failure_of_nvcc_is_kept_and_an_error_where_cuda_is_demanded(
    script, monkeypatch, tmp_path
):
    def make(folder: str, *_: Any, **__: Any) -> None:
        if folder == "csrc/cuda":
            raise script["NotBuiltError"]("nvcc is ill")

    replace(script, monkeypatch, make=make, why_no_cuda=lambda: None, find_nvcc=lambda: "nvcc")
    assert build(script, tmp_path) == {"_cuda": "nvcc is ill"}
    monkeypatch.setenv("PCCLUST_CUDA", "1")
    with pytest.raises(script["NotBuiltError"], match="nvcc is ill"):
        build(script, tmp_path)


def found_torch(code: str, **environment: str) -> str:
    """Asks where torch is in a Python that sees no packages, as pip isolates builds."""
    hidden = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]"
    visible = f"sys.path.insert(0, {str(ROOT / 'build_backend')!r}); import torch_place as p"
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden}; {visible}; {code}"],
        env={**os.environ, "PYTHONPATH": "", **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def test_the_torch_of_the_installing_environment_is_found_though_it_is_hidden():
    assert found_torch("print(p.find_torch())") == str(Path(torch.__file__).parent)
    assert found_torch("import importlib.util as u; print(u.find_spec('torch'))") == "None"


def test_a_torch_that_is_too_old_is_none(tmp_path):
    folder = tmp_path / "lib/python3.11/site-packages/torch"
    folder.mkdir(parents=True)
    ask = "p._hidden_folders = lambda: (); print(p.find_torch())"
    for version, found in (("2.10.9", "None"), ("2.11.0+cu130", str(folder)), ("3.0", str(folder))):
        (folder / "version.py").write_text(
            f"__version__ = '{version}'\ncuda: Optional[str] = None\n"
        )
        assert found_torch(ask, VIRTUAL_ENV=str(tmp_path)) == found
    assert torch_place.torch_fact(folder, "cuda") is None
    (folder / "version.py").write_text("cuda: Optional[str] = '13.0'\n")
    assert torch_place.torch_fact(folder, "cuda") == "13.0"


@pytest.mark.parametrize(
    ("variables", "torch_there", "compiler", "needed"),
    [
        ({}, True, "c++", []),
        ({}, False, "c++", ["torch>=2.11"]),
        ({}, False, None, []),
        ({"PCCLUST_BUILD": "0"}, False, "c++", []),
    ],
)
def test_torch_is_needed_only_where_it_is_missing_and_of_use(
    monkeypatch, variables, torch_there, compiler, needed
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(pcclust_build, "find_torch", lambda: Path() if torch_there else None)
    monkeypatch.setattr(pcclust_build, "find_compiler", lambda: compiler)
    assert pcclust_build.missing_torch() == needed


def test_the_oldest_torch_is_one_number():
    """The backend, the package's requirement and the ABI's target say the same."""
    oldest = f"torch>={torch_place.OLDEST[0]}.{torch_place.OLDEST[1]}"
    assert f'"{oldest}"' in (ROOT / "pyproject.toml").read_text()
    major, minor = torch_place.OLDEST
    target = f"0x{major:02x}{minor:02x}000000000000"
    assert target in (ROOT / "csrc/torch_target.mk").read_text()
