"""What the repository says about itself beside the code."""

from pathlib import Path

import pytest

import pcclust

ROOT = Path(pcclust.__file__).parents[1]
yaml = pytest.importorskip("yaml", reason="pcclust[train] is not installed")

pytestmark = pytest.mark.skipif(not (ROOT / "CITATION.cff").exists(), reason="no repository")


def test_the_citation_is_of_this_version():
    told = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert told["version"] == pcclust.__version__.partition("+")[0]
    assert f'license = "{told["license"]}"' in (ROOT / "pyproject.toml").read_text()
    assert {"cff-version", "message", "title", "authors"} <= set(told)


@pytest.mark.parametrize("form", ["bug", "file", "wish"])
def test_forms_of_issues_are_whole(form):
    told = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{form}.yml").read_text())
    assert told["name"]
    assert told["description"]
    identities = [part["id"] for part in told["body"]]
    assert len(set(identities)) == len(identities)
    assert any(part.get("validations", {}).get("required") for part in told["body"])
