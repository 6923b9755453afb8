"""The script that puts weights that come with pcclust side by side, on an encoder of seconds."""

import numpy as np
import pytest
import torch

import pcclust
from benchmarks import stack_weights
from benchmarks.stack_weights import Settings
from pcclust.data.transforms import UnitSphere
from pcclust.nn import PointNet, weights_source
from pcclust.nn.rri_statistics import rri_statistics
from pcclust.nn.weights import save_weights
from tests.methods.test_classification import shapes, write

NAME = "pointnet-contrastnet-balls"


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    card = {"model": "pointnet", "model_kwargs": {"embedding": 8}, "class_names": []}
    card |= {"num_points": None, "normalization": "as it is", "rotation": "so3"}
    card |= {"data": {"dataset": "balls", "shapes": 9, "sha256": "0"}, "pipeline": {"epochs": 1}}
    (tmp_path / "shipped").mkdir()
    save_weights(tmp_path / "shipped" / f"{NAME}.safetensors", PointNet(embedding=8), card)
    monkeypatch.setattr(weights_source, "SHIPPED", tmp_path / "shipped")
    return card


@pytest.mark.parametrize("given", [False, True])
def test_parts_are_evened_out_by_the_training_shapes(shipped, tmp_path, given):
    file = write(tmp_path / "balls.h5")
    points = UnitSphere()(torch.from_numpy(shapes(48, 0)[0]))
    features = torch.cat([pcclust.load(NAME)(points), rri_statistics(points)], dim=1).detach()
    if given:
        np.save(tmp_path / "features.npy", features.numpy())
    settings = Settings(
        str(file),
        tmp_path / "stack",
        (NAME, "rri-statistics"),
        tmp_path / "features.npy" if given else None,
    )
    stack_weights.main(settings)
    stack = pcclust.load(tmp_path / "stack")
    assert stack.card["pipeline"] == {NAME: shipped["pipeline"]}
    assert stack.card["data"] == shipped["data"]
    assert stack.card["parameters"] == sum(p.numel() for p in PointNet(embedding=8).parameters())
    means = features.double().mean(dim=0)
    torch.testing.assert_close(stack.mean.double(), means, atol=1e-4, rtol=1e-4)
