"""Runs the CUDA kernels on the CPU: builds the emulator's program and exchanges tensors with it."""

import os
import struct
import subprocess
from pathlib import Path

import torch
from torch import Tensor

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / "emulator"
# `memory` finds accesses out of bounds and undefined behaviour, `races` what its name says.
FLAVOURS = ("memory", "races")
DTYPES = (torch.float32, torch.float64, torch.int32, torch.int64, torch.uint8)
HEADER = struct.Struct("32s8q")


class EmulationError(AssertionError):
    """What the emulator or a sanitizer found wrong with a kernel."""


def build() -> None:
    """Compiles what has changed."""
    command = ["make", "--quiet", f"-j{os.cpu_count()}", "-C", str(HERE / "emulator")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the emulated kernels do not compile:\n{done.stderr}")


def emulate(
    folder: Path, flavour: str, call: str, **inputs: Tensor | float | None
) -> dict[str, Tensor]:
    """Runs one ``EMULATED_CALL``.

    Args:
        folder: for the files that pass to and fro.
        flavour: one of `FLAVOURS`.
        call: its name.
        inputs: tensors and scalars by name; None is left out.

    Returns:
        The outputs by name.

    Raises:
        EmulationError: the emulator or a sanitizer found something, or results depend on the order
            in which threads run.
    """
    given, results = folder / "inputs", folder / "outputs"
    arrays = {name: _tensor(value) for name, value in inputs.items() if value is not None}
    given.write_bytes(b"".join(_pack(name, tensor) for name, tensor in arrays.items()))
    command = [str(BUILD / flavour / "emulated"), call, str(given), str(results)]
    options = {"ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=0"}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, **options},
    )
    if done.returncode != 0:
        raise EmulationError(f"{call} ({flavour}, exit {done.returncode}):\n{done.stderr}")
    return _unpack(results.read_bytes())


def _tensor(value: Tensor | float) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().contiguous()
    return torch.tensor(value, dtype=torch.float64 if isinstance(value, float) else torch.int64)


def _pack(name: str, tensor: Tensor) -> bytes:
    shape = [*tensor.shape] + [0] * (6 - tensor.dim())
    header = HEADER.pack(name.encode(), DTYPES.index(tensor.dtype), tensor.dim(), *shape)
    return header + tensor.numpy().tobytes()


def _unpack(content: bytes) -> dict[str, Tensor]:
    arrays, at = {}, 0
    while at < len(content):
        name, dtype, dimensions, *shape = HEADER.unpack_from(content, at)
        at += HEADER.size
        tensor = torch.empty(shape[:dimensions], dtype=DTYPES[dtype])
        size = tensor.numel() * tensor.element_size()
        if size:
            flat = torch.frombuffer(bytearray(content[at : at + size]), dtype=DTYPES[dtype])
            tensor = flat.view(tensor.shape)
        arrays[name.rstrip(b"\0").decode()] = tensor
        at += size
    return arrays
