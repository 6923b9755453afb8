import re

import numpy as np
import pytest
import torch
from torch.nn import functional as F

import pcclust
from pcclust.data import PointDataset
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.methods.classification import Classification, ClassificationConfig
from pcclust.nn import ward_hierarchy
from pcclust.nn.weights import save_weights
from pcclust.training import RunFolder, fit

NAMES = ["ball", "rod", "plate"]
SMALL = {
    "epochs": 1,
    "batch_size": 6,
    "num_points": 48,
    "val_fraction": 0.25,
    "model": "dgcnn",
    "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}
CLUSTERS = {
    "model": "clusternet",
    "model_kwargs": {
        "num_clusters": [8, 2],
        "neighbors": [6, 4, 1],
        "channels": [[8], [8], [8]],
        "embedding": 8,
    },
}


def shapes(count, seed):
    """Balls, rods along z and plates across it, in turn."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    stretch = np.array([[1, 1, 1], [0.1, 0.1, 1], [1, 1, 0.1]])[labels]
    points = generator.normal(size=(count, 48, 3)) * stretch[:, None]
    return points.astype(np.float32) / 3, labels


def write(path, count=48, seed=0, up_axis="z", labels=None):
    points, classes = shapes(count, seed)
    classes = classes if labels is None else labels
    names = [f"shape{i}" for i in range(count)]
    write_hdf5(
        path, [points], count=count, num_points=48, names=names, labels=classes,
        class_names=NAMES, up_axis=up_axis,
    )  # fmt: skip
    return path


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PCCLUST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def split_folder(tmp_path):
    """A dataset with a test split."""
    (tmp_path / "data").mkdir()
    write(tmp_path / "data" / "train.h5", 48, 0)
    write(tmp_path / "data" / "test.h5", 12, 1)
    return tmp_path / "data"


@pytest.fixture
def file(tmp_path):
    return write(tmp_path / "shapes.h5")


def create(dataset, **settings):
    return Classification(ClassificationConfig(dataset=str(dataset), **(SMALL | settings)))


def test_it_learns_and_is_tested_once(split_folder, tmp_path):
    method = create(split_folder, epochs=12, learning_rate=0.01, max_shift=0.0)
    assert [len(method.train_set), len(method.val_set), len(method.test)] == [36, 12, 12]
    outcome = fit(method, RunFolder(tmp_path / "run"))
    assert set(outcome.results) == {"test_loss", "test_accuracy", "test_class_accuracy"}
    assert outcome.results["test_accuracy"] >= 0.75  # a third by chance
    model = pcclust.load(tmp_path / "run")
    assert model.card["class_names"] == NAMES
    assert model.card["metrics"] == outcome.results
    points = torch.from_numpy(shapes(12, 1)[0])
    assert torch.equal(model(points), method.model.eval()(points))


def test_a_single_file_has_no_test(file, tmp_path):
    method = create(file)
    assert method.test is None
    assert fit(method, RunFolder(tmp_path / "run")).results == {}


def test_what_is_measured_is_what_it_says(split_folder):
    method = create(split_folder, rotation="none")
    method.model.eval()
    with torch.no_grad():
        measured = method.finish()
        logits = method.model(torch.from_numpy(shapes(12, 1)[0]))
    labels = torch.arange(12) % 3
    hits = (logits.argmax(1) == labels).double()
    assert measured["test_loss"] == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert measured["test_accuracy"] == pytest.approx(hits.mean().item())
    per_class = [hits[labels == label].mean().item() for label in range(3)]
    assert measured["test_class_accuracy"] == pytest.approx(np.mean(per_class))


def test_validation_shapes_are_turned_alike_every_time_and_differently_by_protocol(file):
    found = {}
    for rotation in ("none", "z", "so3"):
        method = create(file, rotation=rotation)
        method.model.eval()
        with torch.no_grad():
            found[rotation] = method.evaluate()
            assert method.evaluate() == found[rotation]
    assert len({values["val_loss"] for values in found.values()}) == 3


@pytest.mark.parametrize(
    ("rotation", "changed"), [("none", []), ("z", ["x", "y"]), ("so3", ["x", "y", "z"])]
)
def test_training_shapes_are_turned_about_gravity_or_at_random(file, rotation, changed):
    method = create(file, rotation=rotation, max_scale=1.0, max_shift=0.0)
    batch = method.loader.dataset.points[next(iter(method.loader.epoch(0))).indices]
    moved = next(method.batches(0, 0)).points
    differs = (moved - batch).abs().amax(dim=(0, 1)) > 1e-6
    assert [axis for axis, moves in zip("xyz", differs, strict=True) if moves] == changed
    torch.testing.assert_close(moved.norm(dim=2), batch.norm(dim=2))


def test_each_axis_of_a_training_shape_is_stretched_by_itself(file):
    method = create(file, rotation="none", max_scale=1.5, max_shift=0.0)
    batch = next(iter(method.loader.epoch(0)))
    original = method.train_set.points[batch.indices]
    factors = batch.points.norm(dim=1) / original.norm(dim=1)
    assert float((factors[:, 0] - factors[:, 1]).abs().mean()) > 0.05
    torch.testing.assert_close(batch.points, original * factors[:, None])


def test_another_up_axis_is_obeyed(tmp_path):
    file = write(tmp_path / "y.h5", up_axis="y")
    method = create(file, max_scale=1.0, max_shift=0.0)
    batch = next(iter(method.loader.epoch(0)))
    original = method.train_set.points[batch.indices]
    torch.testing.assert_close(batch.points[..., 1], original[..., 1])
    unknown = write(tmp_path / "unknown.h5", up_axis=None)
    with pytest.raises(ValueError, match=r"does not say which axis points up.* give --up-axis"):
        create(unknown)
    assert create(unknown, up_axis="x").rotation.up_axis == "x"
    assert create(unknown, rotation="so3")


def test_the_hierarchy_is_that_of_the_shapes_of_the_batch(file):
    method = create(file, **CLUSTERS)
    told = []
    method.prepare(lambda *what: told.append(what))
    assert told == [("Ward hierarchies", 36, 36)]
    batch, plain = next(method.batches(0, 0)), next(iter(method.loader.epoch(0)))
    levels = method.model.backbone.num_clusters
    expected = ward_hierarchy(method.train_set.points[plain.indices], levels)
    assert torch.equal(batch.extras["clusters"], expected)
    assert batch.extras["clusters"].dtype == torch.int64


def test_clusternet_trains_with_cached_and_is_measured_with_computed_hierarchies(file, tmp_path):
    method = create(file, **CLUSTERS)
    outcome = fit(method, RunFolder(tmp_path / "run"))
    assert outcome.complete
    loaded = pcclust.load(tmp_path / "run")
    points = method.val_set.points
    assert torch.equal(loaded(points), method.model.eval()(points))


@pytest.mark.parametrize("settings", [{}, CLUSTERS])
def test_same_seed_same_bits_also_when_interrupted(file, tmp_path, settings):
    whole = create(file, epochs=2, **settings)
    fit(whole, RunFolder(tmp_path / "whole"))
    for _ in range(3):
        fit(create(file, epochs=2, **settings), RunFolder(tmp_path / "cut"), resume=True, minutes=0)
    resumed = create(file, epochs=2, workers=0, **settings)
    assert fit(resumed, RunFolder(tmp_path / "cut"), resume=True).complete
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name


def test_the_seed_decides_weights_split_and_batches(file):
    def drawn(seed):
        method = create(file, seed=seed)
        weights = torch.cat([p.flatten() for p in method.model.parameters()])
        return weights, method.val_set.names, next(method.batches(0, 0)).points

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[2], again[2])
    assert first[1] == again[1]
    assert not torch.equal(first[0], other[0])
    assert first[1] != other[1]


def test_a_class_without_training_shapes_is_said(tmp_path):
    file = write(tmp_path / "two.h5", labels=np.arange(48) % 2)
    method = create(file)
    assert method.missing_classes == ["plate"]
    assert "warning: no training shape of plate; the model cannot know them" in method.describe()
    assert method.saved()[1]["missing_classes"] == ["plate"]


def test_batches_shrink_to_the_shapes_with_a_word(file):
    method = create(file, batch_size=64)
    assert (method.config.batch_size, method.steps_per_epoch) == (36, 1)
    assert "batches have 36 shapes and not 64: there are 36" in method.describe()
    assert create(file, batch_size=8).notes == []


def test_what_cannot_be_trained_is_said(file, tmp_path):
    cases = [
        ({"model": "clusternt"}, "no model 'clusternt'; did you mean 'clusternet'?"),
        ({"model_kwargs": {"kk": 3}}, "dgcnn has no setting 'kk'; did you mean 'k'?"),
        ({"num_points": 100}, "num_points=100, but the shapes of"),
    ]
    for settings, message in cases:
        with pytest.raises(ValueError, match=re.escape(message)):
            create(file, **settings)
    with pytest.raises(
        FileNotFoundError, match="no such file or folder; did you mean 'modelnet40'"
    ):
        create("modelnet")
    points = PointDataset(torch.rand(9, 48, 3))
    unlabelled = tmp_path / "unlabelled.h5"
    write_hdf5(unlabelled, [points.points.numpy()], count=9, num_points=48, names=points.names)
    with pytest.raises(ValueError, match="has no labels, and classification needs them"):
        create(unlabelled)


@pytest.mark.slow
def test_modelnet10_is_learned_in_three_epochs(data_folder, tmp_path):
    settings = {
        "epochs": 3,
        "num_points": 256,
        "batch_size": 32,
        "val_fraction": 0.1,
        "learning_rate": 0.002,
    }
    model = {"model": "dgcnn", "model_kwargs": {"k": 10, "channels": [32, 64], "embedding": 256}}
    method = create("modelnet10", **settings, **model)
    outcome = fit(method, RunFolder(tmp_path / "run"))
    assert outcome.results["test_accuracy"] > 0.6


def posed(dataset, **settings):
    kwargs = {"backbone": "dgcnn", "model_kwargs": SMALL["model_kwargs"], "size": 0.6}
    return create(dataset, model="canonical-pose", model_kwargs=kwargs, posed=True, **settings)


def test_views_may_be_tilted_and_cropped_to_fewer_points(file):
    method = create(file, crop=0.5, view_points=20, max_scale=1.0, max_shift=0.0, rotation="none")
    batch = next(method.batches(0, 0))
    assert batch.points.shape == (6, 20, 3)
    originals = method.train_set.points[next(iter(method.loader.epoch(0))).indices]
    distances = torch.cdist(batch.points, originals)
    assert float(distances.amin(dim=2).max()) < 1e-3  # points of the shapes themselves


def test_cropped_clouds_have_hierarchies_of_their_own(file, tmp_path):
    method = create(file, **CLUSTERS, view_points=40, crop=0.9)
    method.prepare(lambda *what: pytest.fail(f"prepared {what}"))
    assert next(method.batches(0, 0)).extras == {}
    assert fit(method, RunFolder(tmp_path / "run")).complete


def test_posed_views_are_turned_before_they_are_cropped(file):
    method = posed(file, rotation="so3", max_shift=0.0, max_scale=1.0)
    batch = next(method.batches(0, 0))
    spread = batch.points.square().mean(dim=1)
    assert bool((spread[:, :-1] >= 0.8 * spread[:, 1:]).all())  # the longest axis is x
    torch.testing.assert_close(spread.sum(dim=1).sqrt(), torch.full((6,), 0.6), rtol=1e-4, atol=0)
    method.model.train()
    torch.manual_seed(0)
    expected = method.model.backbone.backbone(batch.points)
    torch.manual_seed(0)
    torch.testing.assert_close(method.model.backbone(batch.points), expected)


def test_posed_views_are_for_canonical_pose(file):
    with pytest.raises(ValueError, match="posed views are for --model canonical-pose, not dgcnn"):
        create(file, posed=True)


@pytest.mark.parametrize("kind", ["encoder", "classifier"])
def test_it_begins_with_given_weights(file, tmp_path, kind):
    begun = create(file, seed=3)
    model = begun.model if kind == "classifier" else begun.model.backbone
    (tmp_path / "begun").mkdir()
    card = begun.saved()[1] | ({"class_names": []} if kind == "encoder" else {})
    save_weights(tmp_path / "begun", model, card)
    method = create(file, init=str(tmp_path / "begun"), model="clusternet", model_kwargs={})
    assert "dgcnn from" in method.describe()[1]
    for name, value in begun.model.backbone.state_dict().items():
        assert torch.equal(method.model.backbone.state_dict()[name], value), name
    assert fit(method, RunFolder(tmp_path / "run")).complete
    card = pcclust.load(tmp_path / "run").card
    assert (card["model"], card["model_kwargs"]) == ("dgcnn", SMALL["model_kwargs"])
    changed = method.model.backbone.state_dict()
    before = begun.model.backbone.state_dict()
    assert any(not torch.equal(changed[name], before[name]) for name in before)


def test_weights_that_are_not_there_are_refused(file, tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no weights"):
        create(file, init=str(tmp_path / "nothing"))


def test_posed_and_begun_it_resumes_to_the_same_bits(file, tmp_path):
    begun = posed(file, rotation="so3")
    (tmp_path / "begun").mkdir()
    save_weights(tmp_path / "begun", begun.model, begun.saved()[1])
    settings = {
        "epochs": 2, "init": str(tmp_path / "begun"), "posed": True, "rotation": "so3",
        "tilt": 0.1, "crop": 0.7, "view_points": 30, "jitter": 0.01,
    }  # fmt: skip
    whole = create(file, **settings)
    fit(whole, RunFolder(tmp_path / "whole"))
    for _ in range(3):
        fit(create(file, **settings), RunFolder(tmp_path / "cut"), resume=True, minutes=0)
    resumed = create(file, workers=0, **settings)
    assert fit(resumed, RunFolder(tmp_path / "cut"), resume=True).complete
    for name, value in whole.model.state_dict().items():
        assert torch.equal(resumed.model.state_dict()[name], value), name
