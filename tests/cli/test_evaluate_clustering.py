"""`pcclust evaluate clustering` as a user runs it, in this process."""

import json

import numpy as np
import pytest

from pcclust.cli.main import main
from tests.methods.families import write_families


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    return int(stopped.value.code)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Shapes, features of them, and a run of TEMI on these."""
    folder = tmp_path_factory.mktemp("clusters")
    write_families(folder / "shapes.h5", 30, num_points=64)
    write_families(folder / "others.h5", 12, num_points=64, seed=1)
    features = np.random.default_rng(0).normal(size=(30, 300)).astype(np.float32)
    np.savez(folder / "features.npz", features=features)
    trained = run(
        "pretrain", "temi", folder / "features.npz", "--clusters", 3, "--heads", 2, "--hidden", 8,
        "--bottleneck", 4, "--neighbors", 3, "--epochs", 2, "--least-steps", 4, "--batch-size", 10,
        "--out", folder / "temi",
    )  # fmt: skip
    assert trained == 0
    return folder


def test_runs_and_baselines_stand_side_by_side(folder, tmp_path, capsys):
    out = tmp_path / "out"
    done = run(
        "evaluate", "clustering", "--data", folder / "shapes.h5", "--test", folder / "others.h5",
        "--method", "kmeans", "--method", "hdbscan", "--seeds", 2, "--rotations", 1,
        "--report", out,
    )  # fmt: skip
    assert done == 0
    told = json.loads((out / "clusters.json").read_text())
    assert [group["title"] for group in told["groups"]] == ["k-means", "HDBSCAN"]
    assert set(told["groups"][0]["mean_and_deviation"]) == {
        "fitted", "fitted_turned", "test", "test_turned",
    }  # fmt: skip
    names = {path.name for path in out.iterdir() if not path.name.startswith(".")}
    assert names == {
        "clusters.json", "clusters.md", "report.html", "gallery-1.html", "gallery-2.html",
    }  # fmt: skip
    assert "Test shapes, turned any way, in %" in capsys.readouterr().out


def test_features_without_labels_have_no_columns_of_labels(folder, tmp_path, capsys):
    out = tmp_path / "out"
    data = folder / "features.npz"
    assert run("evaluate", "clustering", folder / "temi", "--data", data, "--report", out) == 0
    printed = capsys.readouterr().out
    assert "Without labels" in printed
    assert "ACC" not in printed
    assert "turned" not in printed.lower()
    assert f"{data}: 30 shapes\n" in printed
    written = (out / "clusters.md").read_text()
    assert "| temi | 1 |" in written  # how many runs there are
    assert "nan" not in written.lower()
    assert "turns" not in written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["temi", "--data", "shapes.h5"], "temi was trained on features, and the data are shapes"),
        (["--data", "features.npz", "--method", "kmeans"], "add --clusters"),
        (["--data", "shapes.h5"], "give runs of pcclust pretrain, or methods"),
        (["shapes.h5", "--data", "shapes.h5"], "shapes.h5"),
        (["nowhere", "--data", "shapes.h5"], "nowhere"),
        (["--data", "shapes.h5", "--method", "kmeans", "--clusters", "31"], "30 shapes cannot be"),
    ],
)
def test_wrong_use_is_a_sentence(folder, tmp_path, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    assert run("evaluate", "clustering", *arguments, "--report", tmp_path / "out") in (1, 2)
    assert message in " ".join(capsys.readouterr().err.split())


def test_an_encoder_is_no_clustering(tmp_path, folder, capsys):
    name = "clusternet-contrastnet-modelnet40"
    done = run("evaluate", "clustering", name, "--data", folder / "shapes.h5", "--report", tmp_path)
    assert done == 1
    assert "has no clusters of its own" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("cluster", "shapes.h5", "--weights", "temi", "--out", "out/clusters"),
        ("embed", "shapes.h5", "--weights", "temi", "--num-points", 64, "--out", "out.h5"),
        ("evaluate", "linear", "temi", "--data", "shapes.h5", "--report", "out/linear"),
    ],
)
def test_a_run_on_features_is_no_encoder_of_shapes(folder, capsys, monkeypatch, arguments):
    monkeypatch.chdir(folder)
    assert run(*arguments) == 1
    said = " ".join(capsys.readouterr().err.split())
    assert "temi was trained on features and has no encoder of shapes" in said
