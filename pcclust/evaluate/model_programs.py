"""Models that are programs of their own: what torch.export and TorchScript write."""

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

SUFFIXES = (".pt2", ".pt", ".pth", ".ts", ".torchscript")


def is_program(path: Path) -> bool:
    """Returns whether a file is one: a ``.pt2``, or an archive with TorchScript's code in it."""
    if path.suffix.lower() not in SUFFIXES or not path.is_file():
        return False
    return path.suffix.lower() == ".pt2" or _is_torchscript(path)


def load_program(path: Path) -> nn.Module:
    """Loads a program; no pickle of Python is executed, whatever is in the file.

    Raises:
        ValueError: it is damaged, or holds more than a program and tensors.
    """
    try:
        with _tensors_alone():
            if not _is_torchscript(path):
                exported: nn.Module = torch.export.load(path).module()
                return exported
            scripted: nn.Module = torch.jit.load(path, map_location="cpu")  # type: ignore[no-untyped-call]
            return scripted
    except Exception as error:  # damage shows as nearly any exception
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"{path} is no program of torch.export or TorchScript that can be read here "
            f"({reason}): export the model again with this torch, or give its code as file.py:name "
            "and --weights"
        ) from error


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any("/code/" in name and name.endswith(".py") for name in archive.namelist())


@contextmanager
def _tensors_alone() -> Iterator[None]:
    """Has torch refuse every pickle that holds more than tensors, where it would try again, too."""
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
