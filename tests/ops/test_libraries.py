"""Libraries that are missing, or do not load."""

import json
import warnings
from pathlib import Path

import pytest
import torch

import pcclust
from pcclust.ops import _libraries, _registry


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder in the place of the package, and a torch that has CUDA."""
    monkeypatch.delenv("PCCLUST_BACKEND", raising=False)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(_libraries, "PACKAGE", tmp_path)
    return tmp_path


LOADERS = pytest.mark.parametrize(
    ("load", "name", "what"),
    [
        (_libraries.load_native, "_native", "the native kernels"),
        (_libraries.load_cuda, "_cuda", "the CUDA kernels"),
    ],
)


@LOADERS
def test_the_reason_that_the_installation_left_is_told(package, load, name, what):
    (package / "_not_built.json").write_text(json.dumps({name: "the compiler failed: it is ill"}))
    library, reason = load()
    assert library is None
    assert reason.startswith(f"{what} were not built (the compiler failed: it is ill); to build: ")
    assert reason.endswith(_libraries.mending())


@LOADERS
@pytest.mark.parametrize("content", [None, "{}", "no JSON"])
def test_without_a_reason_sources_were_never_built(package, load, name, what, content):
    if content is not None:
        (package / "_not_built.json").write_text(content)
    assert f"{what} were not built (pcclust runs from sources" in load()[1]


@LOADERS
def test_a_library_that_does_not_load_is_told(package, load, name, what):
    (package / f"{name}.so").write_bytes(b"no library")
    library, reason = load()
    assert library is None
    assert reason.startswith(f"{what} do not load (")
    assert _libraries.mending() in reason


def test_without_cuda_in_torch_nothing_is_loaded(monkeypatch):
    monkeypatch.delenv("PCCLUST_BACKEND", raising=False)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert _libraries.load_cuda() == (None, "this torch has no CUDA")


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        ({"url": "file:///a%20b", "dir_info": {}}, "/a b"),
        ({"url": "file:///a", "dir_info": {"editable": True}}, "--editable /a"),
        ({"url": "https://example.org/p.whl"}, "--no-cache-dir pcclust"),
        (None, "--no-cache-dir pcclust"),
    ],
)
def test_the_command_that_mends_names_where_pcclust_came_from(monkeypatch, origin, line):
    class Installed:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return json.dumps(origin) if origin else None

    monkeypatch.setattr(_libraries, "distribution", lambda name: Installed())
    assert _libraries.mending() == f"pip install --force-reinstall --no-deps {line}"


@pytest.fixture
def without_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process whose installation built nothing, and which has said nothing yet."""
    monkeypatch.delenv("PCCLUST_BACKEND", raising=False)
    monkeypatch.setattr(_registry, "native", None)
    monkeypatch.setattr(_registry, "native_reason", "the native kernels were not built (no c++)")
    monkeypatch.setattr(_libraries, "_warned", set())


def test_the_first_call_that_falls_back_warns_once(without_kernels):
    with pytest.warns(RuntimeWarning, match=r"pure PyTorch.*not built \(no c\+\+\)") as warned:
        [pcclust.knn(torch.eye(3), 2) for _ in range(2)]
    assert len(warned) == 1


def test_who_demands_torch_is_not_warned(without_kernels):
    with warnings.catch_warnings(), pcclust.use_backend("torch"):
        warnings.simplefilter("error")
        pcclust.knn(torch.eye(3), 2)
