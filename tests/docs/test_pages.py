"""Pages lead where they say: no link to a file that is not there, and each job in two clicks."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(
    page for page in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")] if "_build" not in page.parts
)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")


def target(page, link):
    """Returns the file that a link means, with the endings that Sphinx leaves out."""
    place = (page.parent / link).resolve()
    names = [place, *(place.with_name(place.name + end) for end in (".md", ".ipynb"))]
    return next((name for name in names if name.exists()), None)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and target(page, link) is None]
    assert not missing


def test_each_job_is_two_clicks_from_the_first_page():
    first = (DOCS / "index.md").read_text(encoding="utf-8")
    for job in ("tutorials/rri", "tutorials/cluster", "tutorials/pretrain", "tutorials/rotation"):
        assert f"]({job})" in first


def test_every_extra_is_in_the_table_of_extras():
    """But those for who works on pcclust itself."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\[project\.optional-dependencies\]$(.*?)^\[", project, re.M | re.S)
    extras = re.findall(r"^(\w+) = \[", table, re.M)
    told = (DOCS / "install.md").read_text(encoding="utf-8")
    assert {name for name in extras if f"[{name}]`" not in told} == {"bench", "docs", "dev"}


def test_every_page_is_in_a_table_of_contents():
    listed = set()
    for page in DOCS.rglob("*.md"):
        for tree in re.findall(r"```\{toctree\}(.*?)```", page.read_text(encoding="utf-8"), re.S):
            entries = [line.strip() for line in tree.splitlines() if not line.startswith(":")]
            listed |= {(page.parent / entry).resolve() for entry in entries if entry}
    pages = {page.with_suffix("").resolve() for page in DOCS.rglob("*.md")}
    assert pages - listed == {DOCS / "index"}
