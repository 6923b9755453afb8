import os
import subprocess
import sys

import pytest

from pcclust.cli import main as cli
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
        (ValueError("k=2 [bold] is wrong"), 2, "pcclust: error: k=2 [bold] is wrong"),
        (OSError(28, "No space left on device"), 2, "No space left"),
        (ImportError("needs laspy"), 2, "needs laspy"),
        (RuntimeError("the 'cuda' backend is demanded"), 2, "the 'cuda' backend"),
        (MemoryError(), 2, "MemoryError"),
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
    assert result.returncode == 2
    assert "PCCLUST_BACKEND='gpu' is none of torch, cpu, cuda" in result.stderr
    assert "Traceback" not in result.stderr


def test_traceback_shows_where_an_error_came_from(monkeypatch, capsys):
    def info() -> int:
        raise ValueError("no such thing")

    monkeypatch.setattr("pcclust.cli.info.info", info)
    assert run("info", "--traceback") == 2
    said = capsys.readouterr().err
    assert "Traceback (most recent call last)" in said
    assert said.endswith("pcclust: error: no such thing\n")


def test_the_overview_has_an_example_of_each_command_that_parses(capsys):
    assert run("--help") == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for name, (_, example) in cli.COMMANDS.items():
        assert f"pcclust {name}" in example
        assert example in text


@pytest.mark.parametrize("arguments", [("train",), ("pretrain", "contrastnet")])
def test_help_groups_settings_and_says_nothing_of_nothing(arguments, capsys):
    assert run(*arguments, "--help") == 0
    text = capsys.readouterr().out
    for group in ("data", "encoder", "views", "training", "run"):
        assert f" {group} options " in text
    assert "(default: None)" not in text
    assert "{None" not in text
    assert "--epochs INT" in text
    assert "(default: )" not in text


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
