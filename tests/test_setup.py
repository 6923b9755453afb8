"""The installation: when the CUDA kernels are built, and what their failure does."""

import runpy
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from setuptools import Distribution

ROOT = Path(__file__).parent.parent


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Returns what setup.py defines; it builds nothing when asked for its version."""
    monkeypatch.setattr(sys, "argv", ["setup.py", "--version"])
    monkeypatch.chdir(ROOT)
    return runpy.run_path("setup.py")


@pytest.mark.parametrize(
    ("wish", "cuda", "nvcc", "reason"),
    [
        (None, None, "nvcc", "this torch has no CUDA"),
        (None, "13.0", None, "there is no nvcc"),
        (None, "13.0", "nvcc", None),
        ("0", "13.0", "nvcc", "PCCLUST_CUDA=0"),
        ("1", None, None, None),
    ],
)
def test_when_cuda_is_built(script, monkeypatch, wish, cuda, nvcc, reason):
    monkeypatch.delenv("PCCLUST_CUDA", raising=False)
    if wish is not None:
        monkeypatch.setenv("PCCLUST_CUDA", wish)
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setitem(script["why_no_cuda"].__globals__, "find_nvcc", lambda: nvcc)
    assert script["why_no_cuda"]() == reason


def failing_build(script: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*_: Any) -> None:
        raise RuntimeError("nvcc is ill\nand says much")

    monkeypatch.setitem(script["build_command"].__globals__, "make_cuda", fail)
    command = script["build_command"]()(Distribution({"name": "pcclust"}))
    command.build_lib = command.build_temp = "build"
    command.extensions = [script["cuda_extension"]()]
    return command


def test_a_failure_of_nvcc_is_a_warning(script, monkeypatch, capsys):
    monkeypatch.delenv("PCCLUST_CUDA", raising=False)
    command = failing_build(script, monkeypatch)
    command.build_extension(command.extensions[0])
    assert command.extensions == []
    assert "without its CUDA kernels (nvcc is ill)" in capsys.readouterr().err


def test_a_failure_of_nvcc_is_an_error_where_cuda_is_demanded(script, monkeypatch):
    monkeypatch.setenv("PCCLUST_CUDA", "1")
    command = failing_build(script, monkeypatch)
    with pytest.raises(RuntimeError, match="nvcc is ill"):
        command.build_extension(command.extensions[0])
