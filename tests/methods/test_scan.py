from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional as F

from pcclust.losses import scan, self_label
from pcclust.methods.features import feature_set
from pcclust.methods.scan import (
    RECIPE,
    SCAN,
    SCANConfig,
    SelfLabel,
    SelfLabelConfig,
    StagesConfig,
    stages,
)
from pcclust.nn import Clusterer, create_backbone
from pcclust.nn.cluster_heads import LinearHead
from tests.methods.families import family_set

DGCNN = {"model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16}}
TINY = {"dataset": "x", "num_clusters": 3, "num_points": 32, "batch_size": 6, "workers": 1} | DGCNN


def create(**settings):
    shapes, _ = family_set(24, num_points=32)
    return SCAN(SCANConfig(**(TINY | settings)), shapes)


def on_features(**settings):
    rows = torch.randn(24, 5, generator=torch.Generator().manual_seed(0))
    config = {name: TINY[name] for name in ("dataset", "num_clusters", "batch_size", "workers")}
    return SCAN(SCANConfig(**(config | settings)), feature_set(rows))


def begin(method):
    with torch.no_grad():
        method.begin_epoch(0, lambda *_: None)
    return next(method.batches(0, 0))


def test_neighbours_are_the_shape_and_the_nearest_by_the_cosine():
    method = on_features(neighbors=4)
    begin(method)
    rows = F.normalize(method.shapes.features, dim=1)
    expected = (rows @ rows.T).fill_diagonal_(2).topk(5, dim=1).indices
    assert torch.equal(method.model.neighbors, expected)


def test_few_features_are_seen_often_enough_and_shapes_once():
    method = on_features(least_steps=40, epochs=5)
    assert method.steps_per_epoch == 8  # 24 shapes make 4 batches of 6
    assert method.order(0).bincount().tolist() == [2] * 24
    assert create(least_steps=40, epochs=5).steps_per_epoch == 4


def test_there_are_no_more_neighbours_than_shapes():
    method = on_features(neighbors=50)
    begin(method)
    assert method.model.neighbors.sort(dim=1).values.tolist() == [list(range(24))] * 24


def test_both_halves_of_a_pair_are_neighbours_seen_through_one_transform():
    method = create(neighbors=3, rotation="so3", jitter=0.0, max_scale=1.0)
    batch = begin(method)
    for shape, (first, second) in zip(batch.indices, batch.points, strict=True):
        plain = method.shapes.batch(shape[None])[0]
        turn = torch.linalg.lstsq(plain, first).solution
        others = method.shapes.batch(method.model.neighbors[shape])
        assert any(torch.allclose(other @ turn, second, atol=1e-4) for other in others)


@pytest.mark.parametrize("make", [create, on_features])
def test_the_loss_is_that_of_the_pairs(make):
    method = make(entropy_weight=2.0)
    batch = begin(method)
    method.model.eval()
    first, second = (method.model(half)["cluster"] for half in batch.points.unbind(dim=1))
    found = method.loss(method.model, batch)["loss"]
    torch.testing.assert_close(found, scan(first, second, 2.0))


def test_self_label_goes_on_with_the_head_and_teaches_the_distorted_view():
    shapes, _ = family_set(24, num_points=32)
    backbone = create_backbone("dgcnn", **DGCNN["model_kwargs"])
    head = LinearHead(backbone.out_channels, 3)
    previous = SimpleNamespace(weights=None, load=lambda: Clusterer(backbone, head))
    config = SelfLabelConfig(**(TINY | {"threshold": 0.34}))
    method = SelfLabel(config, shapes, previous)
    assert method.model.heads["cluster"] is head
    batch = next(method.batches(0, 0))
    assert torch.equal(batch.points[:, 0], shapes.batch(batch.indices))
    method.model.eval()
    weak, strong = (method.model(view)["cluster"] for view in batch.points.unbind(dim=1))
    found, expected = method.loss(method.model, batch), self_label(weak, strong, 0.34)
    torch.testing.assert_close(found["loss"], expected.loss)
    assert found["sure"] == expected.fraction


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, ["pretext", "scan", "self_label"]),
        ({"init": "somewhere"}, ["scan", "self_label"]),
        ({"self_label": {"epochs": 0}}, ["pretext", "scan"]),
    ],
)
def test_stages_that_are_not_needed_are_left_out(given, names):
    later = {name: given[name] for name in given if name == "self_label"}
    main = {name: given[name] for name in given if name != "self_label"}
    config = RECIPE.preset(scan=TINY | main, **later)
    made = stages(config, family_set(24, num_points=32)[0])
    assert [stage.name for stage in made] == names
    assert isinstance(config, StagesConfig)


def test_features_are_clustered_by_one_stage():
    config = RECIPE.preset(scan=TINY)
    assert [stage.name for stage in stages(config, on_features().shapes)] == ["scan"]


@pytest.mark.parametrize("settings", [{"neighbors": 0}, {"entropy_weight": -1.0}])
def test_settings_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        SCANConfig(**(TINY | settings))
