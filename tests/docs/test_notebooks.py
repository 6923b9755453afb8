"""Both halves of each notebook say the same, and what it showed is kept."""

from pathlib import Path

import jupytext
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
STEMS = sorted(path.stem for path in NOTEBOOKS.glob("*.py"))


def test_there_are_as_many_of_each():
    assert len(STEMS) >= 6
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == STEMS


@pytest.mark.parametrize("stem", STEMS)
def test_both_halves_agree(stem):
    script, notebook = (jupytext.read(NOTEBOOKS / f"{stem}{kind}") for kind in (".py", ".ipynb"))
    halves = [[(c.cell_type, c.source) for c in half.cells] for half in (script, notebook)]
    assert halves[0] == halves[1], "run make notebooks"


@pytest.mark.parametrize("stem", STEMS)
def test_outputs_are_kept_and_hold_no_paths_and_no_errors(stem):
    cells = [c for c in jupytext.read(NOTEBOOKS / f"{stem}.ipynb").cells if c.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert outputs, "run make notebooks"
    assert all(output.output_type != "error" for output in outputs)
    text = str(outputs)
    for place in ("/home/", "/root/", "/work/", "site-packages"):
        assert place not in text, f"{place} in what {stem} showed"


@pytest.mark.parametrize("stem", STEMS)
def test_it_opens_with_what_one_will_know(stem):
    first = jupytext.read(NOTEBOOKS / f"{stem}.py").cells[0].source
    assert first.startswith("# ")
    assert "At the end of this notebook you" in first
