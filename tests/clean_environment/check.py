"""Runs every command line and Python block of the README where nothing but the wheel is installed.

First without any extra; what then fails runs again with the extras that its message and the README
name. `make clean-check` sets up the environment. Called with the README, the folder of the bundled
shapes, and an empty folder to work in, by the environment's own Python.
"""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from small_forms import EXTENDED, REPLACED, SKIPPED

BIN = Path(sys.executable).parent
TIMEOUT = 300
EXTRA = re.compile(r"pip install 'pcclust\[(\w+)\]'")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Item:
    """Something that the README says will run.

    Attributes:
        shown: what it is, for the report.
        command: what is run.
        code: of Python, which is put after that of all blocks before it.
    """

    shown: str
    command: tuple[str, ...] = ()
    code: str = ""


def items_of(readme: str, work: Path) -> Iterator[Item]:
    """Yields what is to run, in the README's order; writes the files that it says somebody has."""
    for line in ("pcclust --version", "python -m pcclust --version", "pcclust info"):
        yield Item(line, tuple(line.split()))
    for block in BLOCK.finditer(readme):
        kind, text = block[1], block[2]
        before = readme[: block.start()].rstrip().splitlines()[-1]
        if kind == "python":
            named = re.search(r"`(\w+\.py)` holds$", before)
            if named:
                (work / named[1]).write_text(text)
            yield Item(text.strip().splitlines()[-1], (str(BIN / "python"), "-"), text)
        elif not kind:
            lines = (line.partition("  #")[0].strip() for line in text.splitlines())
            yield from (Item(line, tuple(shlex.split(small(line)))) for line in lines if line)


def small(line: str) -> str:
    """Returns the small form of a command line."""
    for word, by, _ in REPLACED:
        line = re.sub(rf"(?<![\w./-]){re.escape(word)}(?![\w./-])", by, line)
    return line + "".join(f" {more}" for start, more in EXTENDED if line.startswith(start))


def skipped(item: Item) -> str | None:
    """Returns why a line is not run, or None."""
    return next((why for start, why in SKIPPED.items() if item.shown.startswith(start)), None)


def run(item: Item, earlier: str, work: Path) -> str | None:
    """Runs it; returns None, or what it said as it failed."""
    program, *arguments = item.command
    found = BIN / program
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [str(found) if found.exists() else program, *arguments],
            input=earlier + item.code if item.code else "",
            cwd=work,
            env={**environment, "PATH": f"{BIN}:{environment['PATH']}", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {TIMEOUT} s"
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip() or "no message"


def run_all(items: list[Item], work: Path, note: str) -> dict[Item, str]:
    """Runs items in their order, and prints a line on each; returns those that failed, with why."""
    failed, earlier = {}, ""
    for item in items:
        why_not = skipped(item)
        begin = time.perf_counter()
        fault = None if why_not else run(item, earlier, work)
        took = f"{time.perf_counter() - begin:5.1f} s"
        missing = EXTRA.search(fault or "")
        state = "skipped" if why_not else "FAILED " if fault else "ok     "
        told = why_not or (f"needs {missing[1]}" if missing else "")
        changed = not (item.code or why_not) and " ".join(item.command) != item.shown
        form = f"\n{'':18}as: {shlex.join(item.command)}" if changed else ""
        print(f"{note} {state} {took}  {item.shown}  {told}{form}", flush=True)
        if fault:
            failed[item] = fault
        else:
            earlier += item.code
    return failed


def extras_named(readme: str, faults: list[str]) -> set[str]:
    """Returns the extras that failures ask for and the README names."""
    return set(EXTRA.findall("\n".join(faults))) & set(EXTRA.findall(readme))


def main(readme_file: str, shapes: str, folder: str) -> int:
    """Runs everything; returns 1 where something of the README fails."""
    readme, work = Path(readme_file).read_text(encoding="utf-8"), Path(folder)
    (work / "data").symlink_to(Path(shapes).resolve())
    prepare = Path(__file__).with_name("prepare.py").resolve()
    items = [
        Item("all bundled files are read", (str(BIN / "python"), str(prepare))),
        *items_of(readme, work),
    ]
    failed = run_all(items, work, "no extras ")
    extras = extras_named(readme, list(failed.values()))
    if extras:
        libraries = f"pcclust[{','.join(sorted(extras))}]"
        subprocess.run([BIN / "pip", "install", "--quiet", libraries], check=True)
        blocks = [item for item in items if item.code]
        failed = run_all([i for i in items if i in failed or i in blocks], work, "extras    ")
    for item, fault in failed.items():
        print(f"\nFAILED: {item.shown}\n{fault}")
    print(f"\n{len(items)} items of the README, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
