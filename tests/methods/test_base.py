import json

import numpy as np
import pytest
import torch

import pcclust
from pcclust.cluster import ClusterCollapseWarning, normalized_mutual_information
from pcclust.data import PointDataset
from pcclust.losses import imbalance
from pcclust.methods.base import DeepClustering, DeepClusteringConfig
from pcclust.methods.features import FeatureSet
from pcclust.methods.pipeline import Pipeline
from pcclust.methods.stages import Recipe, Stage, features_first, features_of
from pcclust.nn import Clusterer, PointNet, weights
from pcclust.nn.cluster_heads import LinearHead
from pcclust.training import RunFolder, fit
from tests.methods.families import families, write_families

TINY = {
    "num_clusters": 3,
    "num_points": 32,
    "epochs": 2,
    "batch_size": 6,
    "workers": 1,
    "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}


class AlikeConfig(DeepClusteringConfig):
    method = "alike"


class Alike(DeepClustering):
    """The smallest method: that of CONTRIBUTING.md."""

    def heads(self, width):
        return {"cluster": LinearHead(width, self.config.num_clusters)}

    def loss(self, model, batch):
        p = self.outputs(model, batch)["cluster"].softmax(dim=-1)
        unlike = -(p[:, 0] * p[:, 1]).sum(dim=1).log().mean()
        return {"loss": unlike + imbalance(p.flatten(0, 1))}


class OnFeatures(Alike):
    num_views = 0

    def loss(self, model, batch):
        return {"loss": -self.outputs(model, batch)["cluster"].softmax(1).max(1).values.mean()}


class Frozen(Alike):
    frozen_encoder = True


def on_features(config, shapes):
    stage = Stage("heads", lambda s, p: OnFeatures(config, features_of(s, p), p), config.epochs)
    return [*features_first(config, config.init, shapes), stage]


def save_weights(folder, model, card):
    folder.mkdir()
    weights.save_weights(folder, model, card)


def recipe(stages):
    return Recipe(about="", config=AlikeConfig, stages=stages)


def create(cls=Alike, count=24, **settings):
    points, _ = families(count, num_points=32)
    return cls(AlikeConfig(dataset="x", **(TINY | settings)), PointDataset(points))


def test_views_follow_from_seed_epoch_step_and_number_alone():
    method, rows = create(), torch.arange(4)
    views = method.views(rows, 1, 2)
    assert views.shape == (4, 2, 32, 3)
    assert torch.equal(views, create(workers=0).views(rows, 1, 2))
    others = [create(seed=1).views(rows, 1, 2), method.views(rows, 0, 2), method.views(rows, 1, 1)]
    for other in [*others, views.flip(1)]:
        assert not torch.isclose(views, other).all(dim=(2, 3)).any()


def test_batches_are_every_shape_once_and_go_on_anywhere():
    method = create()
    whole = list(method.batches(3, 0))
    assert torch.cat([batch.indices for batch in whole]).sort().values.tolist() == [*range(24)]
    later = list(create().batches(3, 2))
    assert len(later) == 2
    for batch, again in zip(whole[2:], later, strict=True):
        assert torch.equal(batch.points, again.points)
    assert not torch.equal(whole[0].indices, next(method.batches(4, 0)).indices)


def test_outputs_are_those_of_each_view():
    method = create()
    method.model.eval()
    batch = next(method.batches(0, 0))
    out = method.outputs(method.model, batch)
    for view in range(2):
        features = method.model.encoder(batch.points[:, view])
        torch.testing.assert_close(out["features"][:, view], features)
        scores = method.model.heads["cluster"](features)
        torch.testing.assert_close(out["cluster"][:, view], scores)
    assert set(method.outputs(method.model, batch, [])) == {"features"}


def test_the_log_tells_the_size_of_every_cluster_in_every_epoch(tmp_path):
    method, run = create(), RunFolder(tmp_path)
    assert method.details() == {}
    fit(method, run)
    lines = [json.loads(line) for line in run.metrics.read_text().splitlines()]
    epochs = [line for line in lines if "epoch" in line]
    assert len(epochs) == 2
    for line in epochs:
        assert len(line["sizes"]) == 3
        assert sum(line["sizes"]) == 24
        assert line["empty"] == line["sizes"].count(0)


def test_what_is_measured_is_of_the_clusters_and_those_before():
    method = create()
    head = method.model.heads["cluster"]
    with torch.no_grad():
        first = method.evaluate()
        p = method.assignments()
        fractions = p.argmax(1).bincount(minlength=3) / 24
        perplexity = float(torch.special.entr(fractions).sum().exp())
        assert first["perplexity"] == pytest.approx(perplexity)
        assert first["empty"] == int((fractions == 0).sum())
        assert first["confidence"] == pytest.approx(float(p.amax(1).mean()))
        assert "nmi_before" not in first
        head.layer.weight.normal_(generator=torch.Generator().manual_seed(1))
        second = method.evaluate()
        after = method.assignments().argmax(1)
        expected = normalized_mutual_information(p.argmax(1), after)
        assert second["nmi_before"] == pytest.approx(expected)
        assert torch.equal(method.model.assigned, after)


def test_features_are_kept_until_a_step():
    method = create(rotation="none")
    features = method.features()
    assert method.features() is features
    for _ in method.batches(0, 0):
        with torch.no_grad():
            method.model.encoder.get_parameter(
                next(n for n, _ in method.model.encoder.named_parameters())
            ).add_(1)
        break
    next(method.batches(0, 0))
    assert method.features() is not features


def test_a_collapse_is_said_once_with_what_to_change():
    method = create()
    head = method.model.heads["cluster"]
    with torch.no_grad():
        head.layer.bias.copy_(torch.tensor([100.0, 0, 0]))
        with pytest.warns(
            ClusterCollapseWarning, match=r"the 3 clusters .* fewer --clusters, begin"
        ):
            assert method.evaluate()["empty"] == 2
        assert method.evaluate()["perplexity"] == 1


def test_a_run_gives_its_clusters_without_the_method(tmp_path):
    method = create()
    fit(method, RunFolder(tmp_path / "run"))
    model = pcclust.load(tmp_path / "run")
    assert isinstance(model, Clusterer)
    assert (model.card["task"], model.card["num_clusters"]) == ("clusters", 3)
    assigned = model.assign(method.shapes.points)
    torch.testing.assert_close(assigned, method.assignments())
    torch.testing.assert_close(assigned.sum(1), torch.ones(24))
    model.card["head"]["name"] = "strange"
    broken = {key: model.card[key] for key in model.card if key not in ("size", "sha256")}
    save_weights(tmp_path / "strange", model, broken)
    with pytest.raises(ValueError, match="cluster head 'strange' is none of"):
        pcclust.load(tmp_path / "strange")


def test_it_begins_with_weights_or_the_stage_before(tmp_path):
    encoder = PointNet()
    card = {"model": "pointnet", "model_kwargs": {}, "class_names": []}
    save_weights(tmp_path / "first", encoder, card)
    method = create(init=str(tmp_path / "first"), batch_size=4)
    for name, value in encoder.state_dict().items():
        assert torch.equal(method.model.encoder.state_dict()[name], value)
    saved, card = method.saved()
    assert (card["model"], saved.out_channels) == ("pointnet", encoder.out_channels)
    assert "from" in method.describe()[1]


def test_a_frozen_encoder_stays(tmp_path):
    method = create(Frozen)
    before = {name: value.clone() for name, value in method.model.encoder.state_dict().items()}
    head = method.model.heads["cluster"].layer.weight.clone()
    fit(method, RunFolder(tmp_path / "run"))
    for name, value in method.model.encoder.state_dict().items():
        assert torch.equal(before[name], value), name
    assert not torch.equal(head, method.model.heads["cluster"].layer.weight)


def test_features_are_given_or_encoded_once(tmp_path):
    file = write_families(tmp_path / "shapes.h5", 24, num_points=32)
    save_weights(tmp_path / "first", create().model.encoder, create().saved()[1] | {"task": ""})
    config = AlikeConfig(dataset=str(file), init=str(tmp_path / "first"), **TINY)
    told = []
    Pipeline(recipe(on_features), config, tmp_path / "a", tell=told.append).run()
    assert told[0].startswith("features: features: 24 shapes, 32 channels by")
    points, _ = families(24, num_points=32)
    features = np.load(tmp_path / "a/features.npz")["features"]
    encoder = pcclust.load(tmp_path / "first")
    torch.testing.assert_close(torch.from_numpy(features), encoder(points).detach())
    model = pcclust.load(tmp_path / "a")  # assigns points, though it was trained on features
    np.savez(tmp_path / "f.npz", features=features)
    given = AlikeConfig(dataset=str(tmp_path / "f.npz"), **TINY)
    Pipeline(recipe(on_features), given, tmp_path / "b").run()
    of_features = pcclust.load(tmp_path / "b")
    torch.testing.assert_close(
        model.assign(points), of_features.assign(torch.from_numpy(features)), atol=1e-5, rtol=1e-4
    )
    with pytest.raises(ValueError, match=r"takes features \(B, 32\), as it was trained on them"):
        of_features.assign(points)
    with pytest.raises(ValueError, match=r"alike learns on features, and .* give --init"):
        on_features(AlikeConfig(dataset=str(file), **TINY), PointDataset(points))


def test_wrong_input_says_what_to_do():
    with pytest.raises(ValueError, match="clusters=25 exceeds the 24 shapes of x: give fewer"):
        create(num_clusters=25)
    with pytest.raises(ValueError, match="clusters=1 must be at least 2"):
        create(num_clusters=1)
    with pytest.raises(ValueError, match="no model 'dgcn'"):
        create(model="dgcn")
    assert create(batch_size=99).config.batch_size == 24
    features = FeatureSet(torch.rand(24, 5), "")
    with pytest.raises(ValueError, match="x holds features, and alike trains an encoder: give sh"):
        Alike(AlikeConfig(dataset="x", **TINY), features)


def test_what_is_refused_leaves_nothing_behind(tmp_path):
    file = write_families(tmp_path / "shapes.h5", 24, num_points=32)
    config = AlikeConfig(dataset=str(file), **(TINY | {"num_clusters": 25}))
    stage = Stage("alike", lambda *given: Alike(config, *given))
    with pytest.raises(ValueError, match="clusters=25 exceeds"):
        Pipeline(recipe(lambda *_: [stage]), config, tmp_path / "run").run()
    assert not (tmp_path / "run").exists()
