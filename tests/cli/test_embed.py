import json
import shutil

import h5py
import numpy as np
import pytest
import torch

import pcclust
from pcclust.cli import embed as embed_module
from pcclust.cli._cluster_data import read_features
from pcclust.cli.main import main
from pcclust.data.feature_file import read_feature_file
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.data.transforms import UnitSphere
from pcclust.nn import DGCNN, Classifier, weights_source
from pcclust.nn.weights import save_weights
from tests.methods.test_classification import NAMES, shapes, write

SETTINGS = {"k": 4, "channels": [8], "embedding": 16}


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["embed", *map(str, arguments)])
    return int(stop.value.code or 0)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    card = {"model": "dgcnn", "model_kwargs": SETTINGS, "class_names": [], "num_points": 48}
    save_weights(tmp_path, DGCNN(**SETTINGS), card)
    return tmp_path / "weights.safetensors"


def expected(weights, points):
    with torch.no_grad():
        return pcclust.load(weights)(UnitSphere()(torch.as_tensor(points))).numpy()


@pytest.mark.parametrize("name", ["f.npz", "f.h5"])
@pytest.mark.parametrize("batch_size", [32, 7])
def test_a_dataset_keeps_names_labels_and_on_demand_points(tmp_path, weights, name, batch_size):
    file, (points, labels) = write(tmp_path / "shapes.h5"), shapes(48, 0)
    arguments = [file, "--weights", weights, "--out", name, "--batch-size", batch_size]
    assert run(*arguments, "--points") == 0
    features, found = read_feature_file(tmp_path / name)
    np.testing.assert_allclose(features, expected(weights, points), rtol=1e-4, atol=1e-5)
    assert list(found.names) == [f"shape{i}" for i in range(48)]
    assert found.labels.tolist() == labels.tolist()
    assert list(found.class_names) == NAMES
    radii = np.linalg.norm(found.points, axis=2).max(axis=1)
    np.testing.assert_allclose(radii, 1, atol=1e-5)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("name", ["f.npz", "f.h5"])
def test_points_keep_which_way_is_up_and_clusters_stand(tmp_path, weights, name):
    rods, names = torch.randn(6, 48, 3) * torch.tensor([0.1, 1, 0.1]), list("abcdef")  # y is up
    write_hdf5(
        tmp_path / "rods.h5", [rods.numpy()], count=6, num_points=48, names=names, up_axis="y"
    )
    assert run("rods.h5", "--weights", weights, "--out", name, "--points") == 0
    assert read_feature_file(tmp_path / name)[1].up_axis == "y"
    standing = read_features(tmp_path / name).shapes.points
    assert (standing.std(dim=1).argmax(dim=1) == 2).all()


def test_a_wrong_axis_is_named(tmp_path):
    arrays = {"features": np.ones((2, 3)), "points": np.full((2, 5, 3), 0.5), "up_axis": ["w"]}
    np.savez(tmp_path / "f.npz", **arrays)
    with pytest.raises(ValueError, match=r"f\.npz: up_axis must be x, y or z, got w"):
        read_feature_file(tmp_path / "f.npz")


def test_files_are_sampled_and_bad_ones_named(tmp_path, weights, capsys):
    clouds = shapes(5, 1)[0]
    for i, cloud in enumerate(clouds):
        np.save(tmp_path / f"s{i}.npy", cloud)
    (tmp_path / "bad.off").write_text("OFF\n1 2\n")
    np.save(tmp_path / "same.npy", np.ones((48, 3)))
    assert run("*.npy", "bad.off", "--weights", weights, "--out", "f.npz") == 1
    with np.load("f.npz") as arrays:
        assert sorted(arrays) == ["about", "features", "names"]
        assert arrays["names"].tolist() == [f"s{i}.npy" for i in range(5)]
        about = json.loads(str(arrays["about"]))
        assert (about["num_points"], about["weights"]) == (48, str(weights))
        np.testing.assert_allclose(arrays["features"], expected(weights, clouds), atol=1e-4)
    error = capsys.readouterr().err
    assert "2 could not be used" in error
    assert "same.npy: all its points coincide" in error
    assert "bad.off" in error


def test_a_classifier_gives_the_features_of_its_backbone(tmp_path, weights):
    torch.manual_seed(0)
    model = Classifier(DGCNN(**SETTINGS), 3)
    save_weights(
        tmp_path / "c.safetensors",
        model,
        {"model": "dgcnn", "model_kwargs": SETTINGS, "class_names": NAMES},
    )
    file = write(tmp_path / "shapes.h5")
    command = [file, "--weights", "c.safetensors", "--out", "f.npz", "--num-points", 48]
    assert run(*command) == 0
    points = UnitSphere()(torch.from_numpy(shapes(48, 0)[0]))
    found = np.load("f.npz")["features"]
    np.testing.assert_allclose(found, model.backbone.eval()(points).detach(), atol=1e-4)


def test_georeferenced_shapes_keep_their_detail(tmp_path, weights):
    cloud = shapes(1, 1)[0][0].astype(np.float64)
    np.save(tmp_path / "near.npy", cloud)
    np.save(tmp_path / "far.npy", cloud + np.array([4e6, 5e6, 100.0]))
    assert run("near.npy", "far.npy", "--weights", weights, "--out", "f.npz") == 0
    near, far = np.load("f.npz")["features"]
    np.testing.assert_allclose(near, far, rtol=1e-3, atol=1e-4)


def test_an_interrupted_run_is_resumed(tmp_path, weights, monkeypatch, capsys):
    file = write(tmp_path / "shapes.h5")
    command = [file, "--weights", weights, "--batch-size", 8]
    assert run(*command, "--out", "whole.npz") == 0
    describe, calls = embed_module._describe, []

    def interrupted(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return describe(*arguments)

    monkeypatch.setattr(embed_module, "_describe", interrupted)
    assert run(*command, "--out", "f.npz") == 130
    assert "Interrupted after 16 shapes; the same command with --resume" in capsys.readouterr().err
    assert not (tmp_path / "f.npz").exists()
    assert run(*command, "--out", "f.npz") == 1
    assert run(*command, "--out", "f.npz", "--resume", "--seed", 1) == 1
    other = [write(tmp_path / "few.h5", 6), "--weights", weights, "--out", "f.npz", "--resume"]
    assert run(*other) == 1
    errors = capsys.readouterr().err
    assert "continue it with --resume" in errors
    assert "was begun with --seed 0, but now --seed 1" in errors
    assert "other shapes that are not among the inputs now" in errors
    calls.clear()
    monkeypatch.setattr(embed_module, "_describe", lambda *a: calls.append(a) or describe(*a))
    assert run(*command, "--out", "f.npz", "--resume") == 0
    assert len(calls) == 4
    whole, found = np.load("whole.npz"), np.load("f.npz")
    assert np.array_equal(whole["features"], found["features"])
    assert np.array_equal(whole["names"], found["names"])
    assert run(*command, "--out", "f.npz", "--resume") == 0
    assert "nothing to resume" in capsys.readouterr().out


@pytest.fixture
def shipped(tmp_path, weights, monkeypatch):
    """Lets the weights come with pcclust, too."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    for suffix in (".safetensors", ".json"):
        shutil.copy(weights.with_suffix(suffix), folder / f"dgcnn-random-shapes{suffix}")
    monkeypatch.setattr(weights_source, "SHIPPED", folder)


@pytest.mark.usefixtures("shipped")
def test_weights_that_come_with_pcclust_are_taken_by_their_name(tmp_path):
    file, points = write(tmp_path / "shapes.h5"), shapes(48, 0)[0]
    assert run(file, "--weights", "dgcnn-random-shapes", "--out", "f.npz") == 0
    features = np.load("f.npz")["features"]
    np.testing.assert_allclose(features, expected("dgcnn-random-shapes", points), atol=1e-4)
    command = ["cluster", str(file), "--weights", "dgcnn-random-shapes", "--seeds", "1"]
    with pytest.raises(SystemExit) as stop:
        main([*command, "--out", "clusters"])
    assert not stop.value.code
    told = json.loads((tmp_path / "clusters/report.json").read_text())
    assert told["about"]["features"] == "dgcnn-random-shapes"
    assert told["dimensions"] == features.shape[1]


@pytest.mark.usefixtures("shipped")
def test_wrong_weights_and_wrong_use_are_one_line(tmp_path, weights, capsys):
    file = write(tmp_path / "shapes.h5")
    (tmp_path / "model.pt").write_bytes(b"\x80\x04")
    for folder in ("old", "damaged", "cardless"):
        (tmp_path / folder).mkdir()
        for name in ("weights.safetensors", "weights.json"):
            shutil.copy(tmp_path / name, tmp_path / folder / name)
    card = json.loads((tmp_path / "old/weights.json").read_text())
    card |= {"pcclust_version": "0.0.1", "model_kwargs": {"k": 4, "widths": [8]}}
    (tmp_path / "old/weights.json").write_text(json.dumps(card))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    (tmp_path / "damaged/weights.safetensors").write_bytes(content)
    (tmp_path / "cardless/weights.json").unlink()
    out = ["--out", "f.npz"]
    for arguments, message in (
        ([file, "--weights", "model.pt", *out], "model.pt is a pickle, and pcclust loads only"),
        ([file, "--weights", "old", *out], "written by pcclust 0.0.1 and this is"),
        ([file, "--weights", "damaged", *out], "is damaged or not the file of its card: SHA-256"),
        ([file, "--weights", "cardless", *out], "has no card weights.json beside it"),
        ([file, "--weights", "none", *out], "there are no weights none; give the folder of a run"),
        ([file, "--weights", "dgcnn-random", *out], "dgcnn-random; did you mean 'dgcnn-random-sh"),
        ([file, "--weights", "hf://gpt", *out], "'hf://gpt' names no repository: write hf://OWN"),
        ([file, "--weights", "me/shapes", *out], "Hugging Face Hub, write hf://me/shapes; give"),
        ([file, "--weights", weights, "--out", "f.txt"], "--out f.txt must end in .npz or .h5"),
        ([file, "--weights", weights, *out, "--batch-size", 0], "--batch-size 0 must be at least"),
        ([file, "--weights", weights, *out, "--num-points", 3], "k=4 exceeds the 3 points"),
        ([file, "--weights", weights, *out, "--split", "test"], "is one file without splits"),
        (["none.off", "--weights", weights, *out], "there is no such file or folder"),
    ):
        assert run(*arguments) in (1, 2), message
        error = capsys.readouterr().err
        assert message in " ".join(error.split()), error
        assert "Traceback" not in error
    assert not list(tmp_path.glob("f.*"))


def test_clusters_and_a_probe_can_follow(tmp_path, weights, monkeypatch):
    file = write(tmp_path / "shapes.h5")
    assert run(file, "--weights", weights, "--out", "f.npz", "--points") == 0
    with pytest.raises(SystemExit) as stop:
        main(["cluster", "f.npz", "--clusters", "3", "--seeds", "1", "--out", "clusters"])
    assert not stop.value.code
    report = json.loads((tmp_path / "clusters/report.json").read_text())
    assert "f.npz: 48 features of 32" in json.dumps(report)
    with h5py.File(file) as data, np.load("f.npz") as arrays:
        assert np.array_equal(data["label"][:], arrays["labels"])


def test_half_precision_is_stored_as_such_and_never_mixed(tmp_path, weights, monkeypatch, capsys):
    file = write(tmp_path / "shapes.h5")
    command = [file, "--weights", weights, "--precision", "bfloat16", "--out"]
    monkeypatch.setattr("pcclust.evaluate.precision._cpu_has_bfloat16", lambda: False)
    assert run(*command, "f.npz") == 1
    assert "AVX512-BF16" in capsys.readouterr().err
    monkeypatch.setattr("pcclust.evaluate.precision._cpu_has_bfloat16", lambda: True)
    assert run(*command, "f.npz") == 0
    assert run(file, "--weights", weights, "--out", "g.npz") == 0
    half, full = np.load("f.npz"), np.load("g.npz")
    assert json.loads(str(half["about"]))["precision"] == "bfloat16"
    difference = np.linalg.norm(half["features"] - full["features"], axis=1)
    assert 0 < difference.max() < 1e-2 * np.linalg.norm(full["features"], axis=1).min()
