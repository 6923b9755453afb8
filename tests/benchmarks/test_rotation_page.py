"""The page of rotation results, from runs whose answers are known."""

import json

import numpy as np
import pytest
import torch

from benchmarks.rotation_page import PROTOCOLS, Run, page
from pcclust.evaluate import Rotations, rotation
from pcclust.methods.classification import ClassificationConfig
from pcclust.nn import create_backbone
from pcclust.nn.weights import save_weights

LABELS = np.array([0, 1, 0, 1])


def make_run(folder, model, trained, classify):
    """Writes the folder of a run whose model answers by `classify`."""
    folder.mkdir()
    backbone = create_backbone(model)
    config = ClassificationConfig(dataset="modelnet40", model=model, rotation=trained.lower())
    card = {
        "model": model,
        "model_kwargs": {},
        "class_names": [],
        "parameters": 1234567,
        "config": config.__dict__,
        "epoch": 3,
        "seconds": 120.0,
    }
    save_weights(folder, backbone, card)
    line = {"epoch": 3, "val_accuracy": 0.625}
    (folder / "metrics.jsonl").write_text(json.dumps({"step": 1}) + "\n" + json.dumps(line) + "\n")
    points = torch.tensor([[[0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0]]] * 2)
    found = rotation(
        classify,
        points,
        LABELS,
        trained=trained,
        rotations=Rotations(rounds=4, tilts=3),
        up_axis="y",
        class_names=("a", "b"),
    )
    (folder / "report").mkdir()
    (folder / "report" / "rotation.json").write_text(found.to_json())
    return Run.read(folder)


def lies(clouds):
    """Knows upright shapes by their height, and nothing when they are turned in space."""
    lying = (clouds[:, 0, 1].abs() < 0.5).float()
    return torch.stack([1 - lying, lying], dim=1)


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    runs = [
        make_run(tmp_path_factory.mktemp("run") / "folder", name, trained, lies)
        for name, trained in (("clusternet", "z"), ("pointnet", "SO3"), ("pointnet", "z"))
    ]
    return page(runs, "One thread each.")


def row(text, start):
    return next(line for line in text.splitlines() if line.startswith(f"| {start} |")).split(" | ")


def test_protocols_beside_published_values(text):
    header = row(text, "")
    assert [name.strip(" |") for name in header[1:]] == list(PROTOCOLS)
    assert row(text, "PointNet")[1] == "100.0 ± 0.0"
    assert row(text, "PointNet")[2] != "100.0 ± 0.0"
    assert text.count("*published*") == 2
    # The one training of ClusterNet serves the last protocol, too.
    found = row(text, "ClusterNet")
    assert found[3].strip(" |") == found[2]


def test_trainings_and_their_commands(text):
    assert row(text, "PointNet, so3")[1:4] == ["1,234,567", "3 of 30", "float32"]
    assert row(text, "PointNet, so3")[5:] == ["62.5", "2 |"]
    options = "--model pointnet --rotation so3 --out runs/modelnet40-pointnet-so3"
    assert f"pcclust train modelnet40 {options}\n" in text
    assert "One thread each." in text
