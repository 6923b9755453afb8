import json
import sys

import numpy as np
import pytest
import torch
import yaml

import pcclust
from pcclust.cli.main import main
from pcclust.training import loop
from tests.methods.test_classification import write

SMALL = "--model dgcnn --model-kwargs k=4 channels=[8] embedding=16 --num-points 48 --batch-size 6"
SMALL = [*SMALL.split(), "--val-fraction", "0.25", "--epochs", "2", "--rotation", "so3"]


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["train", *map(str, arguments)])
    return int(stop.value.code or 0)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PCCLUST_CACHE", str(tmp_path / "cache"))
    return write(tmp_path / "shapes.h5")


def config(folder):
    return yaml.safe_load((folder / "config.yaml").read_text())


def test_one_command_trains_and_says_what(file, tmp_path, capsys):
    assert run(file, *SMALL) == 0
    folder = tmp_path / "runs" / "shapes-dgcnn-so3"
    assert sorted(path.name for path in folder.iterdir()) == [
        "checkpoint.previous.pt",
        "checkpoint.pt",
        "config.yaml",
        "metrics.jsonl",
        "weights.json",
        "weights.safetensors",
    ]
    out = capsys.readouterr().out
    assert "36 shapes to train on, 12 for validation, no test set; 3 classes, 48 points" in out
    assert "2 epochs of 6 steps of 6; rotation so3; adamw at 0.001" in out
    assert out.count("val accuracy") == 2
    assert "complete; use it by pcclust.load('runs/shapes-dgcnn-so3')" in out
    assert pcclust.load(folder)(torch.rand(2, 48, 3)).shape == (2, 3)
    assert config(folder)["model_kwargs"] == {"k": 4, "channels": [8], "embedding": 16}


def test_a_run_that_begins_with_another_has_a_folder_of_its_own(file, tmp_path, capsys):
    assert run(file, *SMALL, "--epochs", 1) == 0
    begun = tmp_path / "runs" / "shapes-dgcnn-so3"
    assert run(file, *SMALL[SMALL.index("--num-points") :], "--epochs", 1, "--init", begun) == 0
    assert "dgcnn from " in capsys.readouterr().out
    assert (tmp_path / "runs" / "shapes-finetuned-so3" / "weights.json").exists()


def test_the_command_line_comes_before_the_file_and_the_file_before_defaults(file, tmp_path):
    (tmp_path / "my.yaml").write_text(
        f"dataset: {file}\nmodel: dgcnn\nmodel_kwargs: {{k: 4, channels: [8], embedding: 16}}\n"
        "num_points: 48\nbatch_size: 6\nepochs: 1\nseed: 3\njitter: 0.02\n"
    )
    assert run("--config", "my.yaml", "--seed", 4, "--out", "a") == 0
    found = config(tmp_path / "a")
    assert [found[key] for key in ("epochs", "seed", "jitter", "rotation")] == [1, 4, 0.02, "z"]
    (tmp_path / "part.yaml").write_text("epochs: 1\n")
    assert run(file, *SMALL[:-4], "--config", "part.yaml", "--out", "part") == 0
    assert config(tmp_path / "part")["epochs"] == 1
    assert run("--config", "part.yaml", "--out", "part") == 2  # there is no dataset
    # A run's own settings make the same run again.
    assert run("--config=a/config.yaml", "--out", "b") == 0
    weights = "weights.safetensors"
    assert (tmp_path / "a" / weights).read_bytes() == (tmp_path / "b" / weights).read_bytes()


def test_a_run_is_resumed_by_its_folder_alone_or_by_the_same_command(file, tmp_path, capsys):
    command = [file, *SMALL]
    assert run(*command, "--out", "whole") == 0
    assert run(*command, "--out", "cut", "--minutes", 1e-9) == 0
    assert "The time is up after 0 of 2 epochs; go on with: pcclust train --resume --out cut" in (
        capsys.readouterr().err
    )
    assert run(*command, "--out", "cut", "--minutes", 1e-9, "--resume") == 0
    assert "going on in epoch 1, step 2" in capsys.readouterr().out
    assert run("--resume", "--out", "cut") == 0
    weights = "weights.safetensors"
    assert (tmp_path / "whole" / weights).read_bytes() == (tmp_path / "cut" / weights).read_bytes()
    assert run("--resume", "--out", "cut", "--epochs", 9) == 1
    assert "other settings: epochs was 2 and is 9. Go on" in capsys.readouterr().err
    assert run(*command, "--out", "cut") == 1
    assert "cut holds a run already: go on with it by --resume" in capsys.readouterr().err


def test_wrong_use_is_one_line(file, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text("epoch: 3\n")
    for arguments, message in (
        (["--config", "bad.yaml"], "no setting 'epoch'; did you mean 'epochs'?"),
        (["--config", "none.yaml"], "none.yaml: there is no such config file"),
        ([file, *SMALL, "--minutes", 0], "--minutes 0.0 must be positive"),
        ([file, *SMALL, "--epochs", -1], "--epochs -1 must not be negative"),
        ([file, *SMALL, "--batch-size", 1], "leaves a single shape to each of 1 processes"),
        ([file, *SMALL, "--model-kwargs", "k"], "'k' is not NAME=VALUE"),
        (["modelnet"], "no such file or folder; did you mean 'modelnet40'?"),
    ):
        assert run(*arguments) in (1, 2), message
        error = capsys.readouterr().err
        assert message in " ".join(error.replace("│", " ").split()), error
        assert "Traceback" not in error


def test_an_unknown_option_names_the_nearest(file, capsys):
    assert run(file, *SMALL, "--learnin-rate", 1) == 2
    assert "--learning-rate" in capsys.readouterr().err


def test_nan_is_one_line_too(file, monkeypatch, capsys):
    monkeypatch.setattr(loop, "learning_rate", lambda *_: float("inf"))
    assert run(file, *SMALL) == 1
    error = capsys.readouterr().err
    assert "in epoch 1, step 2. No checkpoint is in" in error
    assert "begin anew with a learning rate below 0.001" in error


def test_tensorboard_gets_the_curves(file, tmp_path):
    assert run(file, *SMALL, "--out", "a", "--tensorboard", "--minutes", 1e-9) == 0
    assert run("--out", "a", "--tensorboard", "--resume") == 0
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "a" / "tensorboard"))
    events.Reload()
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").open()]
    logged = [line["val_accuracy"] for line in lines if "epoch" in line]
    drawn = events.Scalars("val_accuracy")
    assert [event.step for event in drawn] == [6, 12]
    np.testing.assert_allclose([event.value for event in drawn], logged, rtol=1e-6)
    assert [event.step for event in events.Scalars("step_loss")] == list(range(1, 13))


@pytest.mark.parametrize("missing", ["accelerate", "yaml", "tensorboard"])
def test_a_missing_extra_is_named(file, missing, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, f"torch.utils.{missing}", None)
    assert run(file, *SMALL, "--logger", "tensorboard") == 1
    extra = "tensorboard" if missing == "tensorboard" else "train"
    assert f"pip install 'pcclust[{extra}]'" in capsys.readouterr().err
