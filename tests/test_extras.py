"""Libraries that are not there, or do not load."""

import ast
import sys
from pathlib import Path

import pytest

from pcclust import _extras

PACKAGE = Path(_extras.__file__).parent


@pytest.mark.parametrize("library", sorted(_extras.EXTRAS))
def test_a_missing_library_is_named_with_its_extra(monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    extra = rf"pip install 'pcclust\[{_extras.EXTRAS[library]}\]'"
    with pytest.raises(ImportError, match=f"^the thing needs {library} .*{extra}$"):
        _extras.require(library, "the thing")


def test_a_library_that_does_not_load_is_told_from_one_that_is_missing(tmp_path, monkeypatch):
    (tmp_path / "laspy.py").write_text("raise ImportError('a symbol is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "laspy", raising=False)
    with pytest.raises(ImportError, match=r"LAS files: laspy .* not load \(a symbol is missing\)"):
        _extras.require("laspy", "LAS files")


def test_every_extra_is_one_of_the_package():
    project = (PACKAGE.parent / "pyproject.toml").read_text()
    extras = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    for extra in _extras.EXTRAS.values():
        assert f"\n{extra} = [" in extras


def imported_libraries(tree: ast.Module) -> set[str]:
    """Returns the top-level names of what a file imports when it runs, not for types alone."""
    guarded = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    names: set[str] = set()
    for node in ast.walk(tree):
        if id(node) in guarded:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").partition(".")[0])
    return names


def test_whoever_imports_an_optional_library_says_what_to_do_without_it():
    """A file that imports one asks `require` for it, or is called by one that has."""
    asked_before = {"rri_figure.py"}  # by `page_style`
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        used = imported_libraries(ast.parse(text)) & set(_extras.EXTRAS)
        if used and path.name not in asked_before:
            assert "require(" in text or "install_line(" in text, path
