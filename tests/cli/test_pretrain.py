from importlib import import_module

import pytest
import yaml

import pcclust
from pcclust.cli.main import main
from pcclust.methods.unlabelled import open_unlabelled
from tests.methods.test_classification import write

DGCNN = ["k=4", "channels=[8]", "embedding=16"]
SMALL = "--num-points 48 --num-planes 4 --batch-size 8 --epochs 1 --clusters 5"
SMALL = [*SMALL.split(), "--model-kwargs", *DGCNN, "--network.model-kwargs", *DGCNN]
SMALL = [*SMALL, "--network.batch-size", "6", "--network.epochs", "1"]
OURS = [*SMALL, "--model", "dgcnn", "--network.model", "dgcnn", "--whiten", "4"]
ZHANG = [*SMALL, "--preset", "zhang2019", "--part-points", "24"]


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", "contrastnet", *map(str, arguments)])
    return int(stop.value.code or 0)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write(tmp_path / "shapes.h5")


def config(folder):
    return yaml.safe_load((folder / "config.yaml").read_text())


def test_one_command_runs_all_stages_and_resuming_skips_them(file, tmp_path, capsys):
    assert run(file, *OURS, "--rounds", 2) == 0
    folder = tmp_path / "runs" / "shapes-contrastnet-rotation-invariant"
    assert sorted(path.name for path in folder.iterdir()) == [
        "config.yaml",
        "contrastnet",
        "round1",
        "round2",
        "weights.json",
        "weights.safetensors",
    ]
    out = capsys.readouterr().out
    assert "1 epoch of 6 steps of 8 shapes and 56 pairs; chance is an accuracy of 50 %" in out
    assert "round1/pseudo_labels: 48 shapes in 5 clusters of" in out
    assert "NMI with the round before" in out
    assert "complete; the encoder is pcclust.load('runs/shapes-contrastnet-rotation-inv" in out
    assert pcclust.load(folder).out_channels == 32
    assert run(file, *OURS, "--rounds", 2) == 1
    assert "holds a run already: go on with it by --resume" in capsys.readouterr().err
    assert run("--resume", "--out", folder) == 0
    again = capsys.readouterr().out.splitlines()
    assert again[0] == "contrastnet: done before, 1 epoch"
    assert again[2] == "round1/network: done before, 1 epoch"
    assert again[4] == "round2/network: done before, 1 epoch"
    assert len(again) == 6


def test_presets_are_defaults_and_options_come_first(file, tmp_path):
    assert run(file, *ZHANG, "--out", "a", "--shared", "--tilt", 0) == 0
    first = config(tmp_path / "a" / "contrastnet")
    chosen = ("shared", "tilt", "normals", "rotation", "weight_decay", "part_points", "group")
    assert [first[key] for key in chosen] == [True, 0.0, "cube", "z", 0.0, 24, 2]
    network = config(tmp_path / "a" / "round1" / "network")
    assert [network[key] for key in ("tilt", "rotation", "num_points")] == [0.06, "z", 48]
    assert run(file, *OURS, "--out", "b", "--preset=rotation-invariant", "--rounds", 0) == 0
    first = config(tmp_path / "b" / "contrastnet")
    assert [first[key] for key in chosen] == [True, 0.0, "isotropic", "so3", 0.05, None, 4]


def test_when_the_time_is_up_resuming_goes_on(file, tmp_path, capsys):
    assert run(file, *OURS, "--out", "whole") == 0
    for _ in range(3):
        assert run(file, *OURS, "--out", "cut", "--resume", "--minutes", 1e-9) == 0
    told = capsys.readouterr()
    assert "up; go on with: pcclust pretrain contrastnet --resume --out cut" in told.err
    assert "going on in epoch 1, step 3" in told.out
    assert run("--resume", "--out", "cut") == 0
    weights = "weights.safetensors"
    assert (tmp_path / "whole" / weights).read_bytes() == (tmp_path / "cut" / weights).read_bytes()


def test_wrong_use_is_one_line(file, tmp_path, capsys):
    one = write(tmp_path / "one.h5", 1)
    for arguments, message in (
        ([one, *OURS], "one.h5 holds a single shape"),
        ([file, *OURS, "--clusters", 49], "--clusters 49 exceeds the 48 shapes"),
        ([file, *OURS, "--min-fraction", 0.04], "parts of 1 points are too small for DGCNN"),
        ([file, *OURS, "--minutes", 0], "--minutes 0.0 must be positive"),
        ([file, *OURS, "--batch-size", 6], "must be a multiple of --group 4"),
        ([file, *OURS, "--preset", "zhang"], "invalid choice"),
        (["modelnet", *OURS], "no such file or folder; did you mean 'modelnet40'?"),
        ([write(tmp_path / "up.h5", up_axis=None), *ZHANG], "give --up-axis x, y or z"),
    ):
        assert run(*arguments) in (1, 2), message
        error = capsys.readouterr().err
        assert message in " ".join(error.replace("│", " ").split()), error
        assert "Traceback" not in error


def test_a_collapse_is_loud(file, monkeypatch, capsys):
    module = import_module("pcclust.cluster.pseudo_labels")
    monkeypatch.setattr(module, "COLLAPSED", 1.1)
    assert run(file, *OURS) == 0
    assert "WARNING: the 5 clusters have collapsed" in capsys.readouterr().err


DEEP = "--clusters 3 --num-points 48 --batch-size 8 --epochs 2 --components 4 --model dgcnn"
DEEP = [*DEEP.split(), "--model-kwargs", *DGCNN]


def run_deep(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["pretrain", "deepcluster", *map(str, arguments)])
    return int(stop.value.code or 0)


def test_any_method_of_the_table_is_a_command_and_its_clusters_are_shown(file, tmp_path, capsys):
    assert run_deep(file, *DEEP, "--out", "a", "--limit", 20, "--tensorboard") == 0
    told = capsys.readouterr().out
    assert "20 shapes, 3 clusters; 2 epochs of 2 steps of 8" in told
    assert "perplexity" in told
    assert list((tmp_path / "a/tensorboard/deepcluster").iterdir())
    assert config(tmp_path / "a")["num_clusters"] == 3
    assert run_deep("--config", "a/config.yaml", "--epochs", 1, "--out", "b") == 0
    assert (config(tmp_path / "b")["epochs"], config(tmp_path / "b")["limit"]) == (1, 20)
    capsys.readouterr()
    with pytest.raises(SystemExit):
        main(["cluster", str(file), "--weights", "a", "--out", "page"])
    assert "of the run" in capsys.readouterr().out
    model = pcclust.load("a")
    points = open_unlabelled(str(file), 48)
    lines = (tmp_path / "page/assignments.csv").read_text().splitlines()
    assert lines[0].endswith(",own")
    found = [int(line.rsplit(",", 1)[1]) for line in lines[1:]]
    assert found == model.assign(points.points).argmax(dim=1).tolist()
    assert run_deep(file, *DEEP[2:], "--out", "c") in (1, 2)
    assert "--clusters" in capsys.readouterr().err
