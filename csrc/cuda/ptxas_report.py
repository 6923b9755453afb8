"""Reads what ptxas said of every kernel: writes the table of registers, and refuses spills.

python csrc/cuda/ptxas_report.py build/cuda csrc/cuda/REGISTERS.md

Returns 1 where a kernel keeps registers in memory, which makes it several times slower.
"""

import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

HEAD = """# Registers of the CUDA kernels

Written by `make cuda-check`: registers of a thread, and after a + the bytes of static shared memory
of a block. None of them spills.
"""


class Kernel(NamedTuple):
    """What ptxas says of one kernel on one target."""

    source: str
    name: str
    target: str
    registers: int
    shared: int
    spilled: int


ENTRY = re.compile(r"Compiling entry function '(?P<name>\w+)' for '(?P<target>sm_\w+)'")
SPILL = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def read_log(source: str, log: str) -> Iterable[Kernel]:
    """Yields the kernels of one file; what functions that are not inlined spill is its caller's."""
    entry, spilled = None, 0
    for line in log.splitlines():
        if found := ENTRY.search(line):
            entry = found
        elif found := SPILL.search(line):
            spilled += int(found[1]) + int(found[2])
        elif (found := USED.search(line)) and entry is not None:
            registers, shared = int(found[1]), int(found[2] or 0)
            yield Kernel(source, entry["name"], entry["target"], registers, shared, spilled)
            entry, spilled = None, 0


def demangle(names: list[str]) -> dict[str, str]:
    """Returns readable names, without namespace and parameters."""
    done = subprocess.run(
        ["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True
    )
    return {m: shorten(full) for m, full in zip(names, done.stdout.splitlines(), strict=True)}


def shorten(name: str) -> str:
    """Returns ``kernel<float, 4>`` of a demangled function."""
    name = name.replace("pcclust::cuda::", "").replace("(anonymous namespace)::", "")
    name = name.removeprefix("void ")
    depth, end = 0, len(name)
    for at, character in enumerate(name):
        depth += {"<": 1, ">": -1}.get(character, 0)
        if character == "(" and depth == 0:
            end = at
            break
    return re.sub(r"\((?:int|bool|long|unsigned int)\)", "", name[:end])


def table(kernels: list[Kernel]) -> str:
    """Returns the Markdown table, a row for each kernel and a column for each target."""
    targets = sorted({kernel.target for kernel in kernels})
    names = demangle(sorted({kernel.name for kernel in kernels}))
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for kernel in kernels:
        row = cells.setdefault((kernel.source, names[kernel.name]), {})
        row[kernel.target] = f"{kernel.registers}" + (
            f" + {kernel.shared}" if kernel.shared else ""
        )
    lines = [f"| file | kernel | {' | '.join(targets)} |", "|---" * (len(targets) + 2) + "|"]
    for (source, name), row in sorted(cells.items()):
        values = " | ".join(row.get(target, "") for target in targets)
        lines.append(f"| {source} | `{name}` | {values} |")
    return "\n".join([HEAD, *lines]) + "\n"


def main(logs: Path, page: Path) -> int:
    """Writes the page and names every kernel that spills."""
    kernels = [
        kernel
        for log in sorted(logs.glob("*.log"))
        for kernel in read_log(log.stem, log.read_text())
    ]
    spilling = [kernel for kernel in kernels if kernel.spilled]
    names = demangle([kernel.name for kernel in spilling])
    for kernel in spilling:
        print(f"{names[kernel.name]} spills {kernel.spilled} bytes on {kernel.target}")
    if spilling:
        return 1
    partial = page.with_suffix(".partial")
    partial.write_text(table(kernels))
    partial.replace(page)
    print(f"{len({k.name for k in kernels})} kernels, no spills; registers in {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
