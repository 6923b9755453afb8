"""Imports run one way, and nothing imports itself in a circle."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import pcclust

ROOT = Path(pcclust.__file__).parent
# From the ground up: a package imports from its own floor and from those below.
FLOORS = (
    (
        "_extras",
        "_files",
        "_lock",
        "_names",
        "_native",
        "_notebook",
        "_progress",
        "_signals",
        "_start",
        "_user_code",
        "_version",
    ),
    ("ops",),
    ("cluster", "data", "losses", "nn", "pyg"),
    ("distributed", "evaluate", "info", "training"),
    ("demo", "methods", "report"),
    ("cli",),
    ("__main__",),
)
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NATIVE = "pcclust._native"  # the compiled kernels
MODULES = {module_name(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def imported(module, *, deferred=True):
    """Returns the modules of pcclust that a module imports; deferred are those in functions."""
    found, tree = set(), ast.parse(MODULES[module].read_text())
    for node in ast.walk(tree) if deferred else tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES or name == NATIVE else node.module for name in names}
    return {name for name in found if name.split(".")[0] == "pcclust"}


def package(module):
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [name for name in MODULES if package(name)])
def test_no_import_climbs(module):
    floor = FLOOR[package(module)]
    for other in imported(module):
        # The package itself stands on everything: only the commands may ask it.
        above = FLOOR[package(other)] if package(other) else FLOOR["report"]
        assert above <= floor, f"{module} must not import {other}"


def test_no_package_is_without_a_floor():
    packages = {package(name) for name in MODULES} - {""}
    assert packages <= set(FLOOR)


def test_no_circle():
    # A package's __init__ hands on what its files define: a circle through it alone is none. A
    # backbone that wraps another one asks for it by name when it is made, which is none either.
    graph = {
        name: {other for other in imported(name, deferred=False) if other in MODULES}
        for name, path in MODULES.items()
        if path.name != "__init__.py"
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")


def test_packages_of_one_floor_make_no_circle():
    graph = {}
    for name in MODULES:
        graph.setdefault(package(name), set()).update(package(o) for o in imported(name))
    try:
        TopologicalSorter({p: of - {p, ""} for p, of in graph.items() if p}).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of packages: {' -> '.join(error.args[1])}")


def test_commands_keep_little_beside_them():
    assert len(list((ROOT / "cli").glob("_[a-z]*.py"))) <= 8
