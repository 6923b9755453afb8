"""Code of the user's that does not load, as one sentence."""

import pytest

from pcclust._user_code import named_object


@pytest.mark.parametrize(
    "code", ["import sys; sys.exit(0)", "exit()", "1 / 0", "{}['a']", "assert 0", "x ="]
)
@pytest.mark.parametrize("form", ["file", "module"])
def test_code_that_does_not_load_is_refused_in_a_sentence(tmp_path, monkeypatch, code, form):
    (tmp_path / "mine_that_fails.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    place = "mine_that_fails.py" if form == "file" else "mine_that_fails"
    with pytest.raises(ValueError, match=r"^mine_that_fails(\.py)? cannot be imported: "):
        named_object(f"{place}:Model")
