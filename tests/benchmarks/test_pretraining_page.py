"""The page of pretraining results, from reports whose numbers are known."""

import json

import numpy as np
import pytest

from benchmarks.pretraining_page import Encoder, page
from pcclust.evaluate.linear_report import LinearReport, ProbeScores

CARD = {
    "method": "contrastnet",
    "model": "clusternet",
    "parameters": 1234567,
    "epoch": 5,
    "seconds": 600.0,
    "seed": 0,
    "config": {"epochs": 5},
    "data": {"dataset": "modelnet40"},
    "pipeline": {
        "rounds": 0,
        "contrastnet": {"dataset": "modelnet40", "epochs": 5, "precision": "bfloat16"},
    },
}


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
    report = LinearReport(about, {"votes": 0, "draws": 2}, 50, 100, (*scores, few))
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


def test_everything_is_told(folder):
    text = page([Encoder.read(f"untrained={folder}")], [CARD], "One thread.")
    assert "## ModelNet10, test" in text
    assert "| untrained | linear SVM | 81.0 ± 1.4 | 81.0 ± 1.4 | 81.0 ± 1.4 |" in text
    assert "| untrained | weighted kNN | 71.0 ± 1.4 |" in text
    assert "| untrained | 55.0 ± 7.1 |" in text
    row = "| untrained | whitened to 64, of length 1 | 50 shapes into 10 | so3 |"
    assert f"{row} 50.0 ± 1.0 | 50.0 ± 1.0 | 50.0 ± 1.0 |" in text
    assert "| contrastnet on modelnet40 | clusternet | 1,234,567 | 5 of 5 | 0 | 10 |" in text
    commands = text.rpartition("```\n")[0].rpartition("```\n")[2].splitlines()
    assert commands[0].startswith("pcclust pretrain contrastnet modelnet40 --epochs 5")
    assert commands[1:] == ["pcclust evaluate linear runs/a", "pcclust cluster modelnet10"]


def test_a_report_needs_a_name(folder):
    with pytest.raises(SystemExit, match="is not NAME=FOLDER"):
        Encoder.read(str(folder))
