import contextlib
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from rich.table import Table

from pcclust._names import visible
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


HIDDEN = "\x1b\x07\x08\r\x9b\u202e\u2066\u200f\x7f"
WORDS = st.text(st.sampled_from("-=ab1." + HIDDEN), min_size=1, max_size=8)
BEGUN = [
    (), ("rri",), ("rri", "x.off", "--out"), ("embed", "--weights"), ("data",), ("evaluate",),
    ("data", "where"), ("train", "x.h5", "--epochs"), ("pretrain", "cc", "x", "--clusters"),
    ("cluster", "x", "--method"), ("cluster",),
]  # fmt: skip


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    yield
    os.chdir(before)


@settings(max_examples=20, deadline=None)
@example(("rri",), ["--\x1b[31mred"])
@example(("train", "x.h5", "--epochs"), ["\x1b]0;title\x07"])
@example(("cluster", "x", "--method"), ["\u202ebad"])
@example((), ["\x1b[2J"])
@given(st.sampled_from(BEGUN), st.lists(WORDS, min_size=1, max_size=3))
def test_no_argument_reaches_the_terminal_as_it_is(elsewhere, begun, words):
    assume(any(visible(word) != word for word in words))
    shown = io.StringIO()
    with (
        contextlib.redirect_stdout(shown),
        contextlib.redirect_stderr(shown),
        pytest.raises(SystemExit) as stopped,
    ):
        main([*begun, *words])
    assert stopped.value.code in (0, 1, 2)
    assert not set(shown.getvalue()) & set(HIDDEN)


def test_a_traceback_is_escaped(capsys, monkeypatch):
    def info() -> int:
        raise ValueError("of \x1b[31mred.off")

    monkeypatch.setattr("pcclust.cli.info.info", info)
    with pytest.raises(SystemExit):
        main(["info", "--traceback"])
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert said.count("\\x1b[31mred.off") >= 2
    assert "\x1b" not in said


def test_colours_of_the_parser_end_where_an_argument_has_some(monkeypatch, capsys):
    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self):
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for word, environment, coloured in (("--bad", None, True), ("--\x1b[8mbad", None, False),
                                        ("--bad", "1", False)):  # fmt: skip
        if environment:
            monkeypatch.setenv("NO_COLOR", environment)
        shown = Terminal()
        with (
            contextlib.redirect_stderr(shown),
            contextlib.redirect_stdout(Terminal()),
            pytest.raises(SystemExit),
        ):
            main(["rri", word])
        assert ("\x1b[" in shown.getvalue()) == coloured
