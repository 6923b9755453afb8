"""Where the torch is that pcclust is to be built against.

Building needs no more of torch than its folder: the headers of the stable ABI and the library to
link with. pip hides the packages of the environment it installs into from the build, but not where
they lie, so a torch that is there already serves, and no second one is downloaded.
"""

import os
import re
import site
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

OLDEST = (2, 11)


def find_torch() -> Path | None:
    """Returns the folder of the first torch that is new enough, or None."""
    for place in _site_folders():
        folder = Path(place) / "torch"
        version = torch_fact(folder, "__version__")
        numbers = re.match(r"(\d+)\.(\d+)", version or "")
        if numbers and tuple(map(int, numbers.groups())) >= OLDEST:
            return folder
    return None


def torch_fact(folder: Path, name: str) -> str | None:
    """Returns what torch's own version.py says, e.g. of ``cuda``, without importing torch."""
    file = folder / "version.py"
    text = file.read_text(encoding="utf-8") if file.is_file() else ""
    found = re.search(rf"^{name}(?:\s*:[^=\n]+)?\s*=\s*['\"]([^'\"]*)['\"]", text, re.MULTILINE)
    return found and found[1]


def _site_folders() -> Iterator[str]:
    """Yields the folders of packages that this build may use, the nearest first."""
    yield from sys.path
    yield from _hidden_folders()
    # Other installers build in an environment of their own; the one in use names itself.
    for prefix in _active_prefixes():
        yield from map(str, sorted(Path(prefix).glob("lib/python3.*/site-packages")))
        yield f"{prefix}/Lib/site-packages"


def _hidden_folders() -> Iterator[str]:
    """Yields what pip hides from a build: the packages of the interpreter that it runs with."""
    for base in dict.fromkeys((sys.prefix, sys.base_prefix)):
        places = sysconfig.get_paths(vars={"base": base, "platbase": base})
        yield from (places["purelib"], places["platlib"])
    yield site.getusersitepackages()


def _active_prefixes() -> Iterator[str]:
    """Yields what this process and those that started it have as their environments."""
    names = ("VIRTUAL_ENV", "CONDA_PREFIX")
    yield from (os.environ[name] for name in names if name in os.environ)
    process = os.getppid()
    while process > 1 and Path(f"/proc/{process}").is_dir():
        folder = Path(f"/proc/{process}")
        try:
            variables = dict(
                entry.split("=", 1)
                for entry in (folder / "environ").read_text(errors="replace").split("\0")
                if "=" in entry
            )
            status = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # another user's process
            return
        yield from (variables[name] for name in names if name in variables)
        process = int(status[1])
