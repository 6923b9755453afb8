"""`pcclust cluster` as a user runs it, in this process."""

import csv
import json

import h5py
import numpy as np
import pytest
import torch
import trimesh

from pcclust.cli.main import main
from pcclust.cluster.metrics import clustering_accuracy
from pcclust.data.hdf5_writer import write_hdf5
from pcclust.evaluate.clustering import clustering
from pcclust.nn.rri_statistics import rri_statistics

FILES = {"report.json", "report.md", "assignments.csv", "gallery.html"}
LABELS = np.arange(40) % 2


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["cluster", *map(str, arguments)])
    return int(stopped.value.code)


def blobs(count=40, far=12.0, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(size=(count, 5)) + far * np.eye(5)[np.arange(count) % 2]


def told(folder):
    return json.loads((folder / "report.json").read_text())


def assigned(folder):
    with (folder / "assignments.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def meshes(tmp_path):
    """Rods and balls of several sizes, in two folders."""
    folder = tmp_path / "meshes"
    for kind in ("ball", "rod"):
        (folder / kind).mkdir(parents=True)
    for number in range(6):
        trimesh.creation.icosphere(2, 1 + number).export(folder / "ball" / f"{number}.off")
        rod = trimesh.creation.box((1, 1, 9 + number))
        rod.apply_transform(trimesh.transformations.random_rotation_matrix())
        rod.export(folder / "rod" / f"{number}.obj")
    return folder


def test_a_folder_of_meshes_needs_nothing_else(tmp_path, meshes, capsys):
    out = tmp_path / "out"
    assert run(meshes, "--out", out, "--num-points", 256, "--seeds", 2) == 0
    assert {path.name for path in out.iterdir()} == FILES
    report = told(out)
    assert (report["shapes"], report["classes"], report["clusters"]) == (12, 2, 2)
    assert report["methods"][0]["runs"][0]["measures"]["accuracy"] == 1
    rows = assigned(out)
    assert [row["name"] for row in rows][::6] == ["ball/0.off", "rod/0.obj"]
    assert len({(row["class"], row["ward"]) for row in rows}) == 2
    printed = capsys.readouterr().out
    assert "clusternet-contrastnet-modelnet40" in printed
    assert "ACC" in printed
    assert str(out / "gallery.html") in printed


def test_folders_without_classes_are_unlabelled(tmp_path, meshes, capsys):
    out = tmp_path / "out"
    assert run(meshes / "rod", "--out", out, "--num-points", 128) == 0
    assert told(out)["classes"] is None
    assert "class" not in assigned(out)[0]
    assert "Without labels 2 clusters are made; --clusters" in capsys.readouterr().err


def test_a_single_class_counts_as_no_label(tmp_path, meshes, capsys):
    for path in (meshes / "rod").iterdir():
        path.unlink()
    (meshes / "rod").rmdir()
    assert run(meshes, "--out", tmp_path / "out", "--num-points", 128, "--clusters", 3) == 0
    assert told(tmp_path / "out")["classes"] is None
    assert "All shapes are of one class" in capsys.readouterr().err


def test_a_broken_file_is_named_and_stops_nothing(tmp_path, meshes, capsys):
    (meshes / "rod" / "broken.off").write_text("OFF\n3 1 0\n0 0")
    assert run(meshes, "--out", tmp_path / "out", "--num-points", 128) == 1
    assert told(tmp_path / "out")["shapes"] == 12
    printed = capsys.readouterr().err
    assert "1 could not be used" in printed
    assert "broken.off" in printed


@pytest.fixture
def prepared(tmp_path):
    """A file of 30 stretched clouds of three classes, y upwards."""
    generator = torch.Generator().manual_seed(0)
    stretch = torch.tensor([[1.0, 1, 1], [1, 1, 0.05], [1, 0.05, 0.05]]).repeat(10, 1)
    points = torch.randn(30, 128, 3, generator=generator) * stretch[:, None]
    path = tmp_path / "shapes.h5"
    write_hdf5(
        path,
        iter([points.numpy()]),
        count=30,
        num_points=128,
        names=[f"s{i}" for i in range(30)],
        labels=np.arange(30) % 3,
        class_names=("ball", "disc", "rod"),
        up_axis="y",
    )
    return path


@pytest.mark.parametrize("rotate", ["none", "z", "so3"])
def test_untrained_features_of_turned_shapes_serve(tmp_path, prepared, rotate):
    options = ("--model", "rri-statistics", "--rotate", rotate, "--seeds", 3)
    assert run(prepared, "--out", tmp_path, *options) == 0
    report = told(tmp_path)
    assert report["settings"]["whiten"] == 30 // 8
    assert report["settings"]["l2"]
    assert report["about"]["rotation"] == rotate
    mean, _ = report["methods"][0]["mean_and_deviation"]["measures"]["accuracy"]
    assert mean > 0.9


@pytest.mark.parametrize(
    ("count", "features"),
    [(63, "statistics of RRI, untrained"), (64, "clusternet-contrastnet-modelnet40")],
)
def test_clouds_of_few_points_get_untrained_features(tmp_path, prepared, count, features):
    assert run(prepared, "--out", tmp_path, "--num-points", count, "--seeds", 1) == 0
    assert told(tmp_path)["about"]["features"] == features


def test_rotations_follow_from_the_seed(tmp_path, prepared):
    pages = []
    for seed in (1, 1, 2):
        out = tmp_path / str(len(pages))
        assert run(prepared, "--rotate", "so3", "--seed", seed, "--seeds", 1, "--out", out) == 0
        pages.append((out / "gallery.html").read_text().split('"points"')[1])
    assert pages[0] == pages[1] != pages[2]


def test_classes_are_chosen_and_whitening_is_turned_off(tmp_path, prepared):
    options = ("--classes", "rod,ball", "--whiten", 0, "--l2", "no", "--seeds", 1)
    options += ("--model", "rri-statistics")
    assert run(prepared, "--out", tmp_path, *options) == 0
    report = told(tmp_path)
    assert (report["shapes"], report["classes"], report["dimensions"]) == (20, 2, 300)
    assert report["settings"] | {"whiten": None, "l2": False} == report["settings"]
    assert {row["class"] for row in assigned(tmp_path)} == {"rod", "ball"}


def test_a_model_of_the_user_makes_the_features(tmp_path, prepared):
    model = tmp_path / "mine.py"
    model.write_text("def spread(clouds):\n    return clouds.abs().mean(dim=1)\n")
    options = ("--model", f"{model}:spread", "--seeds", 1)
    assert run(prepared, "--out", tmp_path / "out", *options) == 0
    report = told(tmp_path / "out")
    assert report["dimensions"] == 3
    assert report["settings"]["whiten"] is None
    assert report["about"]["features"] == f"{model}:spread"


def test_weights_of_pcclust_make_the_features(tmp_path, prepared):
    from pcclust.nn import Classifier, PointNet
    from pcclust.nn.weights import save_weights

    torch.manual_seed(0)
    backbone = PointNet()
    card = {"model": "pointnet", "model_kwargs": {}, "class_names": ["a", "b"]}
    (tmp_path / "run").mkdir()
    save_weights(tmp_path / "run", Classifier(backbone, 2), card)
    assert run(prepared, "--out", tmp_path / "out", "--weights", tmp_path / "run") == 0
    assert told(tmp_path / "out")["dimensions"] == backbone.out_channels


@pytest.mark.parametrize("kind", ["npz", "h5", "npy"])
def test_files_of_features_are_clustered_as_they_are(tmp_path, kind):
    path = tmp_path / f"f.{kind}"
    names = [f"shape {i}" for i in range(40)]
    arrays = {"features": blobs(), "labels": LABELS, "names": np.array(names)}
    if kind == "npz":
        np.savez(path, class_names=["even", "odd"], points=np.ones((40, 9, 3)), **arrays)
    elif kind == "npy":
        np.save(path, blobs())
    else:
        with h5py.File(path, "w") as file:
            file.attrs["class_names"] = ["even", "odd"]
            file["features"], file["label"] = blobs(), LABELS
            file["name"] = np.array(names, dtype=h5py.string_dtype())
    out = tmp_path / "out"
    options = ["--method", "ward", "--method", "gmm", "--clusters", 2]
    assert run(path, "--out", out, *options) == 0
    expected = clustering(blobs(), n_clusters=2, methods=["ward"]).methods[0].runs[0].clusters
    rows = assigned(out)
    assert [int(row["ward"]) for row in rows] == expected.tolist()
    assert clustering_accuracy(LABELS, [int(row["gmm"]) for row in rows]) == 1
    if kind == "npy":
        assert told(out)["classes"] is None
        assert rows[3]["name"] == "3"
    else:
        assert rows[3] | {"name": "shape 3", "class": "odd"} == rows[3]
    assert ('"points": ' in (out / "gallery.html").read_text()) == (kind == "npz")


def test_held_out_features_have_numbers_of_their_own(tmp_path):
    for name, seed in (("a", 0), ("b", 1)):
        np.savez(tmp_path / f"{name}.npz", features=blobs(seed=seed), labels=LABELS)
    assert run(tmp_path / "a.npz", "--test", tmp_path / "b.npz", "--out", tmp_path / "o") == 0
    assert told(tmp_path / "o")["methods"][0]["runs"][4]["test_measures"]["accuracy"] == 1


def test_held_out_shapes_may_be_a_split_and_have_their_classes_in_another_order(tmp_path):
    generator = torch.Generator().manual_seed(0)
    stretch = {"ball": [1.0, 1, 1], "rod": [1, 0.05, 0.05]}
    for split, names in (("train", ["ball", "rod"]), ("test", ["rod", "ball"])):
        shapes = torch.randn(20, 64, 3, generator=generator)
        shapes *= torch.tensor([stretch[names[i % 2]] for i in range(20)])[:, None]
        write_hdf5(
            tmp_path / f"{split}.h5",
            iter([shapes.numpy()]),
            count=20,
            num_points=64,
            names=[f"{split}{i}" for i in range(20)],
            labels=np.arange(20) % 2,
            class_names=tuple(names),
            up_axis=None,
        )
    options = ("--num-points", 64, "--seeds", 1)
    assert run(tmp_path, "--test", "test", "--out", tmp_path / "o", *options) == 0
    assert told(tmp_path / "o")["methods"][0]["runs"][0]["test_measures"]["accuracy"] == 1
    source = (tmp_path / "train.h5", "--test", tmp_path / "test.h5")
    assert run(*source, "--out", tmp_path / "p", *options) == 0
    assert told(tmp_path / "p")["methods"] == told(tmp_path / "o")["methods"]


def feature_file(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"points": np.zeros((4, 9, 3))}, [], r"no array `features` \(N, C\); it holds points"),
        ({"features": np.zeros((4, 9, 5, 4))}, [], "RRI of every point"),
        ({"features": np.zeros(4)}, [], r"must be numbers \(N, C\), got float64 \(4,\)"),
        ({"features": np.ones((9, 3))}, ["--clusters", "2"], "features of all 9 shapes are equal"),
        ({"features": np.eye(4)}, ["--clusters", "5"], "4 shapes cannot be put into 5 clusters"),
        ({"features": np.ones((1, 4))}, ["--clusters", "1"], "a single shape makes no clusters"),
        (
            {"features": blobs(), "labels": LABELS - 1},
            [],
            "20 of 40 labels are negative",
        ),
        ({"features": blobs(), "labels": LABELS[:3]}, [], "40 shapes, but 3 values of .labels."),
        ({"features": blobs() * np.nan}, ["--clusters", "2"], r"features\[0\] .* inf; leave"),
        ({"features": np.array([{}])}, [], "objects, which NumPy would unpickle, are not read"),
        ({"features": blobs()}, ["--rotate", "so3"], "holds features: --rotate need shapes"),
        ({"features": blobs(), "labels": LABELS}, ["--whiten", "9"], "--whiten 9 must be"),
        ({"features": blobs(), "labels": LABELS}, ["--whiten", "-1"], "--whiten -1 must be 0"),
    ],
)
def test_wrong_features_are_named_without_traceback(tmp_path, capsys, arrays, options, message):
    path = feature_file(tmp_path / "f.npz", **arrays)
    assert run(path, "--out", tmp_path / "out", *options) in (1, 2)
    printed = capsys.readouterr()
    assert "Traceback" not in printed.err
    with pytest.raises(ValueError, match=message):
        raise ValueError(" ".join(printed.err.split()))
    assert not (tmp_path / "out").exists()


def test_unlabelled_minus_ones_are_no_labels(tmp_path):
    path = feature_file(tmp_path / "f.npz", features=blobs(), labels=np.full(40, -1))
    assert run(path, "--out", tmp_path / "out", "--clusters", 2) == 0
    assert told(tmp_path / "out")["classes"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modelnet"], "'modelnet': no such file or folder; did you mean 'modelnet40'?"),
        (["modelnet10"], "ModelNet10: the folder /no/such/folder does not exist"),
        (["SHAPES", "--rotate", "z"], "--rotate z: the data does not say which axis is up"),
        (["SHAPESs"], "/meshess': no such file or folder; did you mean '/"),
        (["SHAPES", "--test", "nowhere"], "'nowhere': no such file or folder"),
        (["SHAPES", "--classes", "cup"], "no class 'cup' among ball, rod"),
        (["SHAPES", "--model", "nowhere"], "there is no model nowhere"),
        (["SHAPES", "--out", "SHAPES/ball/0.off"], "is a file; name a folder"),
    ],
)
def test_wrong_shapes_and_options_are_named(
    tmp_path, meshes, capsys, monkeypatch, arguments, message
):
    monkeypatch.setenv("PCCLUST_DATA", "/no/such/folder")
    given = [a.replace("SHAPES", str(meshes)) for a in arguments]
    given += [] if "--out" in given else ["--out", tmp_path / "out"]
    assert run(*given, "--num-points", 64) == 1
    printed = " ".join(capsys.readouterr().err.split())
    assert message in printed
    assert "Traceback" not in printed


def test_a_folder_of_one_shape_makes_no_clusters(tmp_path, capsys):
    folder = tmp_path / "one"
    folder.mkdir()
    trimesh.creation.box((1, 2, 3)).export(folder / "box.off")
    assert run(folder, "--out", tmp_path / "out", "--num-points", 64) == 1
    assert "a single shape makes no clusters" in capsys.readouterr().err


def test_copies_of_one_shape_make_no_clusters(tmp_path, capsys):
    folder = tmp_path / "same"
    folder.mkdir()
    cloud = np.random.default_rng(0).normal(size=(64, 3))
    for number in range(5):
        np.savetxt(folder / f"{number}.xyz", cloud)
    found = rri_statistics(torch.from_numpy(cloud)[None])
    assert found.isfinite().all()
    assert run(folder, "--out", tmp_path / "out", "--num-points", 64) == 1
    assert "features of all 5 shapes are equal" in capsys.readouterr().err


@pytest.mark.parametrize("count", [6, 9, 12, 15])
def test_few_shapes_of_three_kinds_are_told_apart(tmp_path, count):
    draw, shapes = np.random.default_rng(0), []
    for number in range(count):
        points = draw.random((256, 3)) - 0.5
        if number % 3 == 2:
            points /= np.linalg.norm(points, axis=1, keepdims=True)
        points *= ([4, 1, 1], [4, 4, 0.3], [1, 1, 1])[number % 3]
        shapes.append(points / np.linalg.norm(points, axis=1).max())
    kinds = np.arange(count) % 3
    with h5py.File(tmp_path / "few.h5", "w") as file:
        file["data"] = np.array(shapes, np.float32)
    out = tmp_path / "out"
    assert run(tmp_path / "few.h5", "--clusters", 3, "--seeds", 2, "--out", out) == 0
    found = np.array([int(row["ward"]) for row in assigned(out)])
    assert clustering_accuracy(kinds, found) == 1


@pytest.mark.parametrize(("wish", "numbers"), [("auto", range(2, 21)), ("2-6", range(2, 7))])
def test_the_number_is_chosen_without_labels_and_drawn(tmp_path, capsys, wish, numbers):
    kinds = np.arange(60) % 4
    blobs = np.random.default_rng(0).normal(size=(60, 5)) + 20 * np.eye(5)[kinds]
    with h5py.File(tmp_path / "features.h5", "w") as file:
        file["features"] = blobs.astype(np.float32)
    out = tmp_path / "out"
    command = ["cluster", str(tmp_path / "features.h5"), "--clusters", wish, "--out", str(out)]
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 0
    assert "4 clusters, by prediction strength" in capsys.readouterr().err
    page = (out / "gallery.html").read_text()
    assert page.count("<polyline") == 3
    assert f">{numbers[-1]}</text>" in page
    with (out / "assignments.csv").open() as table:
        assert len({row["self-tuning"] for row in csv.DictReader(table)}) == 4


@pytest.mark.parametrize("wish", ["few", "5-", "-3", "2.5"])
def test_what_is_no_number_of_clusters_is_refused(tmp_path, capsys, wish):
    with pytest.raises(SystemExit):
        main(["cluster", str(tmp_path), "--clusters", wish])
    assert "clusters" in capsys.readouterr().err
