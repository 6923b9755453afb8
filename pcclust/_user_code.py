"""Objects of the user's own code, by name."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

FORMS = "write file.py:name or package.module:name"


def named_object(source: str) -> object:
    """Returns what ``file.py:name`` or ``package.module:name`` stands for; it is executed.

    Raises:
        FileNotFoundError: no such file or module.
        ValueError: no such name in it, or it cannot be imported.
        ImportError: what it imports is not there.
    """
    place, _, name = source.rpartition(":")
    if not place or not name:
        raise ValueError(f"{source!r} names nothing: {FORMS}")
    module = _module_of_file(Path(place)) if place.endswith(".py") else _module(place)
    found: object = module
    for part in name.split("."):
        if not hasattr(found, part):
            public = ", ".join(n for n in vars(module) if not n.startswith("_"))
            raise ValueError(f"{place} has no {name}; it has {public or 'nothing'}")
        found = getattr(found, part)
    return found


def _module(place: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    try:
        with _failures_of(place):
            return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            raise FileNotFoundError(
                f"there is no module {error.name} in {Path.cwd()} or among what is installed: "
                f"{FORMS}"
            ) from error
        raise
    finally:
        sys.path.remove(str(Path.cwd()))


def _module_of_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}: {FORMS}")
    name = f"_pcclust_user_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # as dataclasses and pickles of the file expect
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)  # so that it can import its neighbours
    try:
        with _failures_of(path):
            spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    return module


@contextmanager
def _failures_of(place: str | Path) -> Iterator[None]:
    """Says in one sentence why code cannot be imported, whatever it raises."""
    try:
        yield
    except (ImportError, FileNotFoundError):
        raise  # they name what is missing
    except SystemExit as error:
        raise ValueError(
            f"{place} cannot be imported: it ends the process (exit {error.code}); put what it "
            'runs as a script under `if __name__ == "__main__":`'
        ) from error
    except Exception as error:
        raise ValueError(f"{place} cannot be imported: {type(error).__name__}: {error}") from error
