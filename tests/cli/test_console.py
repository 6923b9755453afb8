import io
import warnings

import numpy as np
import pytest
from rich.table import Table

from pcclust.cli.console import SafeConsole, data_warnings_printed, progress_bar
from pcclust.cli.main import main
from pcclust.data import DataWarning
from pcclust.report.table import Table as Texts

EVIL = "a\x1b]0;owned\x07\x9b31m\u202efdp.exe\u2066\u200f\udcff"
SHOWN = r"a\x1b]0;owned\x9b31m\u202efdp.exe\u2066\u200f\udcff"


def hidden(text):
    return [character for character in text if character in EVIL and not character.isprintable()]


@pytest.mark.parametrize("wrap", [lambda text: text, "file {}".format])
def test_no_escape_sequence_reaches_the_terminal(wrap):
    stream = io.StringIO()
    console = SafeConsole(file=stream, markup=False, soft_wrap=True, width=200)
    console.print(wrap(EVIL))
    assert stream.getvalue() == wrap(SHOWN) + "\n"


def test_nor_from_a_table_or_a_bar(monkeypatch):
    stream = io.StringIO()
    console = SafeConsole(file=stream, force_terminal=True, width=200)
    table = Table(EVIL, title=EVIL)
    table.add_row(EVIL)
    console.print(table)
    monkeypatch.setattr("pcclust.cli.console.errors", console)
    with progress_bar("shapes") as bar:
        bar.add_task(EVIL, total=1)
    text = stream.getvalue()
    assert not set(hidden(text)) - {"\x1b"}
    assert "\x1b]" not in text
    assert r"\u202efdp" in text


def test_what_rich_draws_with_stays():
    stream = io.StringIO()
    SafeConsole(file=stream, force_terminal=True, color_system="standard").print("a", style="red")
    assert stream.getvalue() == "\x1b[31ma\x1b[0m\n"


@pytest.mark.parametrize("category", [DataWarning, UserWarning])
def test_warnings_go_through_the_same_door(category, capsys):
    with data_warnings_printed():
        warnings.warn(category(EVIL), stacklevel=1)
    text = capsys.readouterr().err
    assert r"\u202efdp.exe" in text
    assert not hidden(text)


def test_a_file_with_such_a_name_is_named_harmlessly(tmp_path, capsys):
    folder = tmp_path / "shapes"
    folder.mkdir()
    (folder / f"{EVIL}.off").write_text("OFF\n")
    np.save(folder / "good.npy", np.random.default_rng(0).normal(size=(9, 3)))
    with pytest.raises(SystemExit) as stopped:
        main(["rri", str(folder), "--k", "3", "--out", str(tmp_path / "f.npz"), "--workers", "0"])
    assert stopped.value.code == 1
    text = "".join(capsys.readouterr())
    assert r"\u202efdp.exe\u2066\u200f\udcff.off" in text
    assert not hidden(text)


def test_markdown_shows_them_too():
    assert not hidden(Texts(["name"], [[EVIL]]).markdown())
