"""What ``import pcclust`` and the start of a command bring with them."""

import importlib
import os
import signal
import subprocess
import sys

import pytest

import pcclust

HEAVY = {
    "accelerate", "h5py", "huggingface_hub", "laspy", "matplotlib", "open3d", "requests", "rich",
    "safetensors", "scipy", "sklearn", "tensorboard", "torch_geometric", "trimesh", "tyro", "yaml",
}  # fmt: skip


def brought_by(statement: str) -> set[str]:
    """Returns the top-level modules that a statement imports where torch is there already."""
    code = f"""
import sys, torch
before = set(sys.modules)
{statement}
print(*(name for name in sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_brings_no_heavy_library_and_few_modules():
    found = brought_by("import pcclust; pcclust.knn(torch.eye(3), 2)")
    assert {name.partition(".")[0] for name in found} & HEAVY == set()
    assert "pcclust.data" not in found
    assert len([name for name in found if name.startswith("pcclust")]) < 40


def test_a_command_brings_only_what_it_needs():
    found = brought_by(
        "from pcclust.cli.main import main\n"
        "try:\n    main(['info', '--help'])\nexcept SystemExit:\n    pass"
    )
    assert {name.partition(".")[0] for name in found} & HEAVY <= {"h5py", "rich", "tyro"}
    assert "pcclust.cli.train" not in found


def test_what_is_imported_late_is_there():
    listed = dir(pcclust)
    for name in pcclust.__all__:
        assert getattr(pcclust, name) is not None
        assert name in listed
    assert pcclust.nn.ClusterNet.__module__ == "pcclust.nn.clusternet"
    with pytest.raises(AttributeError, match="module 'pcclust' has no attribute 'clusternet'"):
        _ = pcclust.clusternet


@pytest.mark.parametrize(("name", "policy"), [("pcclust", "passive"), ("notebook.py", None)])
def test_threads_of_the_command_sleep_while_they_wait_and_those_of_others_do_as_they_did(
    monkeypatch, name, policy
):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{name}"])
    monkeypatch.setattr(sys, "orig_argv", [])
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    try:
        importlib.reload(importlib.import_module("pcclust._start"))
        assert os.environ.get("OMP_WAIT_POLICY") == policy
    finally:
        os.environ.pop("OMP_WAIT_POLICY", None)
        signal.signal(signal.SIGINT, before)
