"""What pages say will run: their command lines and Python blocks, in their order."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from small_forms import EXTENDED, REPLACED, SKIPPED

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELLS = ("", "bash", "console", "sh", "shell")


@dataclass(frozen=True)
class Item:
    """Something that will run.

    Attributes:
        shown: a line of it, for the report.
        command: what the shell is given.
        code: or what Python is given, after all code before it.
        skipped: why it does not run here, if so.
        page: where it stands.
    """

    shown: str
    command: str = ""
    code: str = ""
    skipped: str | None = None
    page: str = ""


def items_of(page: Path) -> Iterator[Item]:
    """Yields what is to run of a page."""
    for kind, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if kind == "python":
            yield Item(text.strip().splitlines()[-1], code=text, page=page.name)
        elif kind in SHELLS:
            yield from (replace(_command(line), page=page.name) for line in _lines(text))


def items_of_all(pages: list[Path]) -> Iterator[Item]:
    """Yields what is to run of all pages, each command line once."""
    seen: set[str] = set()
    for page in pages:
        for item in items_of(page):
            if item.code or item.shown not in seen:
                yield item
            seen.add(item.shown)


def models_of(page: str) -> dict[str, str]:
    """Returns the code of files that command lines name as FILE.py:NAME, from the Python blocks."""
    code = [text for kind, text in BLOCK.findall(page) if kind == "python"]
    found = {}
    for file, name in re.findall(r"(\w+\.py):(\w+)", page):
        for text in code:
            if re.search(rf"^(class|def) {name}\b", text, re.MULTILINE):
                found[file] = text
    return found


def weights_of(page: str) -> set[tuple[str, str, str]]:
    """Returns file, name and weights of command lines with FILE.py:NAME --weights WEIGHTS.pt."""
    return set(re.findall(r"(\w+\.py):(\w+) .*--weights (\S+\.pt)\b", page))


def _lines(text: str) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        command = line.partition("  #")[0].removeprefix("$ ").strip()
        if command and not command.startswith("#"):
            yield command


def _command(line: str) -> Item:
    small = line
    for word, by, _ in REPLACED:
        small = re.sub(rf"(?<![\w./-]){re.escape(word)}(?![\w./-])", by, small)
    options = [more for pattern, more, _ in EXTENDED if re.search(pattern, small)]
    why = next((why for start, why in SKIPPED if small.startswith(start)), None)
    return Item(line, " ".join([small, *options]), skipped=why)
