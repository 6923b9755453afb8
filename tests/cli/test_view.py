"""`pcclust view` as a user runs it, in this process."""

import base64
import json
import re

import numpy as np
import pytest
import trimesh

import pcclust
from pcclust.cli.main import main
from pcclust.data.rri_file import is_rri_file, open_rri_file
from pcclust.report.shape_view import CHANNELS
from tests.methods.test_classification import NAMES, shapes, write


def run(*arguments, command="view"):
    with pytest.raises(SystemExit) as stop:
        main([command, *map(str, arguments)])
    return int(stop.value.code or 0)


def shown(path):
    """Returns the title, the points and the channels of each view of a page."""
    page = path.read_text("utf-8")
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)
    told = json.loads(data)
    names = [channel["name"] for channel in told["channels"]]

    def array(text):
        return np.frombuffer(base64.b64decode(text), "<f4")

    return [
        (view["title"], array(view["points"]).reshape(-1, 3),
         dict(zip(names, map(array, view["values"]), strict=True)))
        for view in told["views"]
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scan(tmp_path):
    """A cloud of 3,000 points far from the origin."""
    points = np.random.default_rng(0).normal(size=(3000, 3)) + 1e6
    np.save(tmp_path / "scan.npy", points)
    return points


def test_a_scan_is_thinned_out_and_described(tmp_path, scan, capsys):
    assert run("scan.npy", "--max-points", 500, "--shapes", 1) == 0
    ((title, points, channels),) = shown(tmp_path / "view.html")
    said = "scan.npy: 500 of 3,000 points are shown and described"
    assert title == "scan.npy"
    assert said in capsys.readouterr().out
    assert said in (tmp_path / "view.html").read_text()
    kept = np.sort(np.random.default_rng(0).choice(3000, 500, replace=False))
    expected = scan[kept] - scan[kept].mean(axis=0)
    np.testing.assert_allclose(points, expected, atol=1e-5)
    features = pcclust.rri(scan[kept] - scan.mean(axis=0), 20)
    assert list(channels) == [CHANNELS[n] for n in CHANNELS if n not in ("label", "cluster")]
    found = list(channels.values())
    np.testing.assert_allclose(found[0], features[:, 0, 0], rtol=1e-5)
    np.testing.assert_allclose(found[1], features[..., 1].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found[2], features[..., 2].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found[3], features[..., 3].max(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found[4], scan[kept, 2] - scan[:, 2].mean(), atol=1e-5)


def test_meshes_stand_and_have_one_size_and_a_bad_one_is_named(tmp_path, capsys):
    for size in (1, 10):
        mesh = trimesh.creation.box(extents=(size, 5 * size, size))
        mesh.export(tmp_path / f"tower{size}.obj")
    (tmp_path / "bad.obj").write_text("no mesh")
    assert run(".", "--out", "page.html", "--color", "height") == 1
    small, large = shown(tmp_path / "page.html")
    assert next(iter(small[2])) == "height"
    for _, points, _ in (small, large):
        assert np.abs(points).max(axis=0).argmax() == 2  # y is up in OBJ, z in views
        assert np.linalg.norm(points, axis=1).max() == pytest.approx(1)
    r = CHANNELS["r"]
    np.testing.assert_allclose(small[2][r].max(), 1, rtol=1e-5)
    assert "bad.obj" in capsys.readouterr().err


def test_a_dataset_has_labels_and_a_spread_choice(tmp_path):
    write(tmp_path / "shapes.h5")
    assert run("shapes.h5", "--shapes", 5, "--color", "label", "--clusters", 2) == 0
    views = shown(tmp_path / "view.html")
    labels = shapes(48, 0)[1]
    rows = [0, 12, 24, 35, 47]
    for row, (title, _, channels) in zip(rows, views, strict=True):
        assert title.startswith(f"shape{row}, {NAMES[labels[row]]}, cluster ")
        assert next(iter(channels)) == "label"
        assert set(channels["label"]) == {labels[row]}
        assert len(set(channels["cluster"])) == 1
    assert {int(channels["cluster"][0]) for _, _, channels in views} == {0, 1}


@pytest.mark.parametrize("suffix", ["h5", "npz"])
@pytest.mark.parametrize("ragged", [False, True])
def test_what_rri_wrote_is_shown_with_its_features(tmp_path, suffix, ragged):
    clouds = [np.random.default_rng(i).normal(size=(30 + 5 * i * ragged, 3)) for i in range(3)]
    for i, cloud in enumerate(clouds):
        np.save(tmp_path / f"c{i}.npy", cloud)
    out = tmp_path / f"rri.{suffix}"
    assert run(*(f"c{i}.npy" for i in range(3)), "--k", 6, "--out", out, command="rri") == 0
    assert is_rri_file(out)
    assert not is_rri_file(tmp_path / "c0.npy")
    with open_rri_file(out) as file:
        for i, cloud in enumerate(clouds):
            found = file[i]
            assert found.name == f"c{i}.npy"
            np.testing.assert_allclose(found.points, cloud - cloud.mean(axis=0), atol=1e-6)
            np.testing.assert_allclose(found.features, pcclust.rri(cloud, 6), atol=1e-4)
    assert run(out, "--color", "phi_max") == 0
    for cloud, (_, _, channels) in zip(clouds, shown(tmp_path / "view.html"), strict=True):
        phi = pcclust.rri(cloud, 6)[..., 3].max(axis=1)
        np.testing.assert_allclose(channels[CHANNELS["phi_max"]], phi, atol=1e-4)


def test_features_need_points_and_are_clustered(tmp_path, capsys):
    points, labels = shapes(6, 0)
    features = np.array([[0.0], [0], [0], [9], [9], [9]])
    np.savez(tmp_path / "f.npz", features=features, points=points, labels=labels)
    assert run("f.npz", "--clusters", 2) == 0
    clusters = [view[2]["cluster"][0] for view in shown(tmp_path / "view.html")]
    assert clusters in ([0, 0, 0, 1, 1, 1], [1, 1, 1, 0, 0, 0])
    np.savez(tmp_path / "g.npz", features=features)
    assert run("g.npz") == 1
    assert "g.npz holds features alone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one file"),
        (["scan.npy", "--out", "page.png"], "must end in .html"),
        (["scan.npy", "--out", "nowhere/page.html"], "there is no folder nowhere"),
        (["scan.npy", "--color", "cluster"], "color 'cluster' is none of r,"),
        (["scan.npy", "--shapes", 0], "--shapes 0 must be at least 1"),
        (["scan.npy", "--max-points", 3], "--max-points 3 must be at least 2 for each of 24"),
        (["scan.npy", "--clusters", 2], "--clusters 2 exceeds n_samples=1"),
        (["nothing.ply"], "nothing.ply: there is no such file"),
    ],
)
def test_wrong_use(tmp_path, scan, capsys, arguments, message):
    assert run(*arguments) in (1, 2)
    assert message in capsys.readouterr().err
    assert not (tmp_path / "view.html").exists()


def test_a_single_point_is_named(tmp_path, capsys):
    np.save(tmp_path / "one.npy", np.zeros((1, 3)))
    assert run("one.npy") == 1
    assert "one.npy: a single point has no neighbours" in capsys.readouterr().err
