import io
import os
import re
import subprocess
import sys
from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from pcclust.cli import _help, _options, console
from pcclust.cli import main as cli
from pcclust.cli.console import UsageError
from pcclust.training import Outcome


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        cli.main(arguments)
    return int(stopped.value.code or 0)


def test_help_names_every_command(capsys):
    assert run("--help") == 0
    text = capsys.readouterr().out
    assert all(name in text for name in cli.COMMANDS)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_has_help(name, capsys):
    assert run(name, "--help") == 0
    assert f"usage: pcclust {name}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [(), ("bogus",), ("rri", "--bogus")])
def test_wrong_use(arguments, capsys):
    assert run(*arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_output_that_nobody_reads():
    command = [sys.executable, "-m", "pcclust", "train", "--help"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        complaints = process.stderr.read()
    assert (process.returncode, complaints) == (141, b"")


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("k=2 [bold] is wrong"), 1, "pcclust: error: k=2 [bold] is wrong"),
        (OSError(28, "No space left on device"), 1, "No space left"),
        (ImportError("needs laspy"), 1, "needs laspy"),
        (RuntimeError("the 'cuda' backend is demanded"), 1, "the 'cuda' backend"),
        (MemoryError(), 1, "MemoryError"),
        (UsageError("--k 0 must be at least 1"), 2, "--k 0"),
        (KeyboardInterrupt(), 130, "Interrupted; nothing half-written"),
    ],
)
def test_errors_are_one_line(monkeypatch, capsys, error, code, message):
    def info() -> int:
        raise error

    monkeypatch.setattr("pcclust.cli.info.info", info)
    assert run("info") == code
    errors = capsys.readouterr().err
    assert message in errors
    assert len(errors.splitlines()) == 1


def test_bugs_keep_their_traceback(monkeypatch):
    def info() -> int:
        raise TypeError("a bug")

    monkeypatch.setattr("pcclust.cli.info.info", info)
    with pytest.raises(TypeError, match="a bug"):
        cli.main(["info"])


def test_python_dash_m_with_a_missing_backend():
    environment = {**os.environ, "PCCLUST_BACKEND": "gpu"}
    result = subprocess.run(
        [sys.executable, "-m", "pcclust", "info"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 1
    assert "PCCLUST_BACKEND='gpu' is none of torch, cpu, cuda" in result.stderr
    assert "Traceback" not in result.stderr


def test_traceback_shows_where_an_error_came_from(monkeypatch, capsys):
    def info() -> int:
        raise ValueError("no such thing")

    monkeypatch.setattr("pcclust.cli.info.info", info)
    assert run("info", "--traceback") == 1
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.endswith("pcclust: error: no such thing\n")


def command_lines():
    """Yields each command with the words that name it, and its example."""
    for name, (_, example) in cli.COMMANDS.items():
        module = import_module(f"pcclust.cli.{name}")
        actions = getattr(module, "ACTIONS", None)
        if actions is None:
            yield pytest.param((name,), example, id=name)
        else:
            for action, shown in actions.items():
                yield pytest.param((name, action), shown, id=f"{name} {action}")


COMMAND_LINES = list(command_lines())


@cache
def helped(*words, width=80):
    """Returns the help of a command in a terminal of this many columns."""
    shown = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(shown):
        patch.setenv("COLUMNS", str(width))
        patch.setattr(console.output, "_width", width)  # it reads COLUMNS once, at import
        assert run(*words, "--help") == 0
    return shown.getvalue()


@pytest.mark.parametrize(("words", "example"), COMMAND_LINES)
def test_help_is_a_line_an_example_that_parses_and_options_in_groups(words, example, monkeypatch):
    text = helped(*words)
    purpose = text.splitlines()[2]
    assert purpose.endswith(".")
    assert f"Example: {example}" in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines())
    for nothing in ("None", "(default: )", "(default: False)", "(default: True)", "action options"):
        assert nothing not in text
    begun = []
    monkeypatch.setattr(cli, "parsed", lambda *given, **named: begun.append((given, named)) or int)
    assert run(*example.split()[1:]) == 0
    ((command, rest), named) = begun[0]
    _help.parsed(command, rest, **named)  # no SystemExit


@pytest.mark.parametrize("words", [("train",), ("pretrain", "contrastnet"), ("pretrain", "dec")])
def test_settings_are_in_groups(words):
    text = helped(*words)
    found = [text.index(f" {name} options ") for name in ("data", "model", "views", "training")]
    assert found == sorted(found)
    assert "--epochs INT" in text
    assert "{None" not in text


@pytest.mark.parametrize("option", ["resume", "seed", "limit", "weights", "init", "device"])
def test_an_option_means_the_same_in_every_command(option):
    texts = [helped(*line.values[0]) for line in COMMAND_LINES]
    having = [text for text in texts if re.search(rf"^\W*--{option} ", text, re.MULTILINE)]
    assert len(having) > 2
    for text in having:
        words = " ".join(" ".join(line.strip("│| ") for line in text.splitlines()).split())
        kind = {"resume": "", "seed": "INT ", "limit": "INT "}.get(option, "STR ")
        assert f"--{option} {kind}{_options.SAID[option]}" in words


@pytest.mark.parametrize("width", [80, 60])
def test_the_overview_fits_a_terminal_in_the_order_of_use(width):
    lines = helped(width=width).splitlines()
    assert len(lines) < 24 or width < 80
    assert all(len(line) <= width for line in lines)
    named = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert named == list(cli.COMMANDS)
    assert named != sorted(named)


@pytest.mark.parametrize("name", ["evaluate", "data", "pretrain"])
def test_commands_with_actions_list_them(name, capsys):
    text = helped(name)
    module = import_module(f"pcclust.cli.{name}")
    assert all(re.search(rf"^  {action} +[A-Z].*", text, re.MULTILINE) for action in module.ACTIONS)
    assert f"pcclust {name} {module.KIND.upper()} --help" in text
    wrong = next(iter(module.ACTIONS))[:-1] + "q"
    assert run(name, wrong) == 2
    assert f"has no {module.KIND} {wrong!r}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ("rri there.xyz --out f.npz --k 2", 0),
        ("rri lost.xyz --out f.npz", 1),
        ("rri empty.xyz --out f.npz", 1),
        ("rri there.xyz --out f.npz --k 0", 2),
        ("rri there.xyz --out f.npz --seed -1", 2),
        ("rri there.xyz --out f.txt", 2),
        ("rri there.xyz --out f.npz --bogus", 2),
        ("rri there.xyz", 2),
        ("embed there.xyz --weights lost --out f.npz", 1),
        ("evaluate linear lost --data there.xyz --limit 0", 2),
        ("train there.xyz --seed -1", 2),
        ("pretrain cc there.xyz --clusters 1", 2),
        ("cluster lost.npy --seed -1", 2),
        ("data prepare . --out f.h5 --seed -1", 2),
    ],
)
def test_exit_codes(given, code, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("there.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n0 0 1\n")
    Path("empty.xyz").touch()
    assert run(*given.split()) == code
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("given", [
    "rri x --out f.npz", "embed x --weights w --out f.npz", "cluster x", "train x", "view x",
    "pretrain cc x --clusters 2", "evaluate rotation x", "evaluate corruption x",
    "evaluate linear x", "evaluate clustering --data x", "data prepare x --out f.h5",
])  # fmt: skip
def test_a_negative_seed_is_refused_alike_in_a_line(given, capsys):
    assert run(*given.split(), "--seed", "-1") == 2
    assert capsys.readouterr().err == "pcclust: error: --seed -1 must be at least 0\n"


def test_the_word_none_still_undoes_what_a_file_says(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("method: classification\nclip_norm: 3.0\n")
    seen = []
    monkeypatch.setattr("pcclust.cli.train.Classification", seen.append)
    monkeypatch.setattr("pcclust.cli.train.fit", lambda *_, **__: Outcome(True, False, 7, {}))
    given = ["train", "x.h5", "--config", str(tmp_path / "config.yaml"), "--epochs", "7"]
    for words in ([], ["--clip-norm", "None"], ["--clip-norm", "2"]):
        run(*given, *words)
    assert [config.clip_norm for config in seen] == [3.0, None, 2.0]
    assert {config.epochs for config in seen} == {7}
