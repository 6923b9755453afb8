"""Runs every command line and Python block of pages where nothing but the wheel is installed.

First without any extra: what fails has to name the extra that it needs, or wants what such a line
would have made. It runs again with the extras that the pages name. `make clean-check` sets up the
environment. Called with the folder of the bundled shapes, an empty folder to work in, and the
README and the pages of the documentation, by the environment's own Python.
"""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from pages import Item, items_of_all

BIN = Path(sys.executable).parent
# Against what never ends: on a busy machine a command waits for most of its time.
TIMEOUT = 1200
EXTRA = re.compile(r"pip install 'pcclust\[(\w+)\]'")
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)+|[\w-]+\.(?:h5|npz)")


def run(item: Item, earlier: str, work: Path) -> str | None:
    """Runs it; returns None, or what it said as it failed."""
    variables = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    try:
        done = subprocess.run(
            [BIN / "python", "-"] if item.code else ["bash", "-c", item.command],
            input=earlier + item.code if item.code else "",
            cwd=work,
            env={**variables, "PATH": f"{BIN}:{variables['PATH']}", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {TIMEOUT} s"
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip() or "no message"


@dataclass(frozen=True)
class Failure:
    """What failed: what it said, and why that is as it should be, if it is."""

    item: Item
    fault: str
    excuse: str | None


def run_all(items: list[Item], work: Path, note: str) -> list[Failure]:
    """Runs items in their order, and prints a line on each; returns what failed."""
    failures: list[Failure] = []
    earlier, page = "", ""
    for item in items:
        if item.page != page:
            earlier, page = "", item.page
        wall, cpu = time.perf_counter(), cpu_seconds()
        fault = None if item.skipped else run(item, earlier, work)
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        told = item.skipped
        if fault:
            told = excuse(item, fault, failures, work)
            failures.append(Failure(item, fault, told))
        elif not item.skipped:
            earlier += item.code
        state = "skipped" if item.skipped else "FAILED" if fault else "ok"
        form = f"\n{'':27}as: {item.command}" if item.command not in ("", item.shown) else ""
        print(f"{note} {state:7} {wall:5.1f} s, CPU {cpu:5.1f} s  {item.shown}  {told or ''}{form}")
        sys.stdout.flush()
    return failures


def cpu_seconds() -> float:
    """Returns what the commands so far took of all processors."""
    times = os.times()
    return times.children_user + times.children_system


def excuse(item: Item, fault: str, earlier: list[Failure], work: Path) -> str | None:
    """Returns why an item may fail without extras: it says which, or waits for one that does."""
    missing = EXTRA.search(fault)
    if missing:
        return f"needs {missing[1]}"
    made = {path for failure in earlier for path in paths_of(failure.item)}
    awaited = sorted(path for path in made & paths_of(item) if not (work / path).exists())
    return f"waits for {', '.join(awaited)}" if awaited else None


def paths_of(item: Item) -> set[str]:
    """Returns the paths that an item names."""
    return set(PATH.findall(item.command + item.code))


def main(shapes: str, folder: str, *files: str) -> int:
    """Runs everything; returns 1 where something of a page fails."""
    work, pages = Path(folder), [Path(file).resolve() for file in files]
    (work / "data").symlink_to(Path(shapes).resolve())
    prepare = Path(__file__).with_name("prepare.py").resolve()
    items = [
        Item("all bundled files are read", f"python {prepare} {' '.join(map(str, pages))}"),
        *(Item(line, line) for line in ("pcclust --version", "python -m pcclust --version")),
        Item("pcclust info", "pcclust info"),
        *items_of_all(pages),
    ]
    failures = run_all(items, work, "no extras")
    wrong = [failure for failure in failures if not failure.excuse]
    faults = "\n".join(failure.fault for failure in failures)
    named = "".join(page.read_text(encoding="utf-8") for page in pages)
    extras = set(EXTRA.findall(faults)) & set(EXTRA.findall(named))
    if extras:
        libraries = f"pcclust[{','.join(sorted(extras))}]"
        subprocess.run([BIN / "pip", "install", "--quiet", libraries], check=True)
    failed = [failure.item for failure in failures]
    if failed:
        again = [item for item in items if item in failed or item.code]
        wrong += run_all(again, work, "extras   ")
    for failure in wrong:
        print(f"\nFAILED: {failure.item.page}: {failure.item.shown}\n{failure.fault}")
    print(f"\n{len(items)} items of {len(pages)} pages, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
