"""The page of pretraining results, from reports whose numbers are known."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from benchmarks.pretraining_page import Encoder, page
from pcclust.evaluate.linear_report import LinearReport, ProbeScores
from pcclust.methods.contrastnet_presets import contrastnet_preset


def write_card(folder, **card):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights.safetensors").touch()  # a card counts for weights only
    settings = {"epochs": card["epoch"], "precision": "bfloat16"}
    held = {"format": "pcclust weights", "model": "clusternet", "seed": 0, "config": settings}
    unread = {"model_kwargs": {}, "class_names": [], "size": 0, "sha256": ""}
    (folder / "weights.json").write_text(json.dumps(held | unread | card))


@pytest.fixture
def run(tmp_path):
    """The cards of two stages, with settings of their own."""
    preset = contrastnet_preset("zhang2019", "modelnet40", epochs=5, shared=True)
    network = replace(preset.network, epochs=7, balanced=True, model_kwargs={"k": 8})
    made = asdict(replace(preset, network=network))
    folder = tmp_path / "runs" / "mine"
    write_card(folder, epoch=7, pipeline=made)
    metrics = {"train_loss": 0.4567, "train_accuracy": 0.875}
    first = {"parameters": 1234567, "epoch": 5, "seconds": 600.0, "metrics": metrics}
    write_card(folder / "contrastnet", **first)
    write_card(folder / "round1/network", **(first | {"epoch": 7, "seconds": 1200.0}))
    return folder


@pytest.fixture
def folder(tmp_path):
    scores = [
        ProbeScores(probe, protocol, 100, np.array([[value, value + 0.02]]), np.array([value]))
        for probe, value in (("linear_svm", 0.8), ("weighted_knn", 0.7))
        for protocol in ("z/z", "z/SO3", "SO3/SO3")
    ]
    few = ProbeScores(
        "linear_svm", "z/SO3", 5, np.array([[0.5], [0.6]]), np.array([0.5, 0.6]), 0.05
    )
    about = {"data": "modelnet10, test", "command": "pcclust evaluate linear runs/a"}
    report = LinearReport(about, {"azimuths": 0, "repeats": 2}, 50, 100, (*scores, few))
    (tmp_path / "linear.json").write_text(report.to_json())
    clustering = {
        "shapes": 50,
        "clusters": 10,
        "about": {"command": "pcclust cluster modelnet10", "rotation": "so3"},
        "settings": {"whiten": 64, "l2": True},
        "methods": [
            {
                "mean_and_deviation": {
                    "measures": {k: [0.5, 0.01] for k in ("accuracy", "nmi", "ari")}
                }
            }
        ],
    }
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "report.json").write_text(json.dumps(clustering))
    return tmp_path


def test_everything_is_told(folder, run):
    text = page([Encoder.read(f"untrained={folder}")], [run], "One thread.")
    assert "## ModelNet10, test" in text
    assert "| untrained | 81.0 ± 1.4 | 81.0 ± 1.4 | 81.0 ± 1.4 |" in text
    assert "| z/SO3, other classifiers | weighted kNN |" in text
    assert "| untrained | 71.0 ± 1.4 |" in text
    assert "| untrained | linear SVM | 55.0 ± 7.1 |" in text
    row = "| untrained | whitened to 64, of length 1 | 50 shapes into 10 | so3 |"
    assert f"{row} 50.0 ± 1.0 | 50.0 ± 1.0 | 50.0 ± 1.0 |" in text
    end = "loss 0.457, accuracy 0.875 |"
    encoder = "clusternet, 1,234,567 | bfloat16 |"
    assert f"| mine, contrastnet | {encoder} 5 of 5 | 0 | 10 | {end}" in text
    assert f"| , round1 | {encoder} 7 of 7 | 0 | 20 | {end}" in text
    commands = text.rpartition("```\n")[0].rpartition("```\n")[2].splitlines()
    assert commands[0] == (
        "pcclust pretrain contrastnet modelnet40 --preset zhang2019 --epochs 5 --shared "
        f"--network.epochs 7 --network.model-kwargs k=8 --network.balanced --out {run}"
    )
    assert commands[1:] == ["pcclust evaluate linear runs/a", "pcclust cluster modelnet10"]


def test_without_runs_it_points_to_the_cards(folder):
    text = page([Encoder.read(f"shipped={folder}")], [], "One thread.")
    trainings = text.partition("## Trainings\n\n")[2].partition("\n\n## Commands")[0]
    assert trainings.startswith("What is named as in [pcclust/weights](https://github.com/")
    assert trainings.endswith("One thread.")
    assert "|" not in trainings


def test_protocols_of_some_encoders_alone_are_shown(folder):
    plain = Encoder.read(f"plain={folder}")
    upright = tuple(replace(s, protocol="upright/upright") for s in plain.linear.scores)
    both = replace(plain.linear, scores=(*upright, *plain.linear.scores))
    text = page([plain, replace(plain, name="voted", linear=both)], [], "")
    assert "| linear SVM on features of | upright/upright | z/z | z/SO3 | SO3/SO3 |" in text
    assert "| plain | – | 81.0 ± 1.4 | 81.0 ± 1.4 | 81.0 ± 1.4 |" in text
    assert "| voted | 81.0 ± 1.4 | 81.0 ± 1.4 | 81.0 ± 1.4 | 81.0 ± 1.4 |" in text


def test_a_report_needs_a_name(folder):
    with pytest.raises(SystemExit, match="is not NAME=FOLDER"):
        Encoder.read(str(folder))
