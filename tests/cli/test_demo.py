"""The demo must tell the truth about every bundled shape, and credit every one."""

import json
import re
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from markupsafe import escape
from rich.progress import Progress
from scipy.spatial.transform import Rotation
from torch import nn

from pcclust.cli.demo import demo
from pcclust.cli.main import main
from pcclust.cluster import normalized_mutual_information
from pcclust.demo import clusters as _demo_clusters
from pcclust.demo.clusters import cluster_furniture, cluster_section
from pcclust.demo.shapes import BUNDLED, load_mesh, load_shapes
from pcclust.nn import weights_source
from pcclust.report.page import render_page
from tests.demo.few import ship_small_weights, turn_seldom, write_few

LICENCES = {"CC0-1.0": 80 + 45, "CC-BY-3.0": 190, "CC-BY-3.0-US": 63}


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(BUNDLED)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A data folder of nine clouds of three kinds and two meshes."""
    return write_few(tmp_path_factory.mktemp("few [shapes]"))


@pytest.fixture
def weights(tmp_path_factory, monkeypatch):
    """Lets weights of a small ClusterNet come with pcclust under the demo's name."""
    ship_small_weights(tmp_path_factory.mktemp("weights"), monkeypatch)


@pytest.fixture
def quick(weights, monkeypatch):
    """Lets the demo take seconds."""
    turn_seldom(monkeypatch)


def test_every_shape_is_bundled_and_credited_once_with_a_licence_that_is_there(shapes):
    assert len(shapes.names) == len(set(shapes.names)) == len(shapes.clouds) == 333 + 45
    assert set(shapes.credits) == set(shapes.names)
    licences = [re.search(r"\((\S+)\)$", credit)[1] for credit in shapes.credits.values()]
    assert {name: licences.count(name) for name in set(licences)} == LICENCES
    for name in LICENCES:
        assert "Creative Commons" in (BUNDLED / "LICENSES" / f"{name}.txt").read_text()


def test_credits_agree_with_the_file_of_shapes(shapes):
    with h5py.File(BUNDLED / "furniture.h5") as file:
        columns = (file[name].asstr()[:] for name in ("name", "author", "licence"))
        for name, author, licence in zip(*columns, strict=True):
            assert shapes.credits[f"furniture.h5: {name}"] == f"{author} ({licence})"


def test_shapes_are_centred_in_the_unit_ball_and_stand_upright(shapes):
    assert shapes.clouds.shape == (378, 1024, 3)
    assert shapes.clouds.mean(1).abs().max() < 1e-12
    np.testing.assert_allclose(shapes.clouds.norm(dim=2).amax(1), 1)
    bottles = [i for i, name in enumerate(shapes.names) if "bottle" in name]
    extents = shapes.clouds[bottles].amax(1) - shapes.clouds[bottles].amin(1)
    assert (extents.argmax(1) == 2).all()
    table = load_mesh(BUNDLED / "meshes/table.obj", 1000)
    assert (table[:, 2] > 0).float().mean() > 0.5  # the top is above the legs


@pytest.mark.usefixtures("quick")
def test_demo_tells_the_same_in_terminal_page_and_picture(few, tmp_path, capsys):
    out = tmp_path / "new [folder]" / "demo"
    assert demo(out=out, data=few) == 0
    pictures = sorted(out.glob("*.png"))
    assert sorted(out.iterdir()) == [out / "report.html", *pictures]
    assert [path.name for path in pictures] == ["report.png", "views.png"]
    for path in pictures:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 300_000
    page, printed = (out / "report.html").read_text(), capsys.readouterr().out
    numbers = re.findall(r"\d\.\de-\d\d|\d+\.\d ± \d+\.\d %", printed)
    assert len(numbers) >= 7 + 7
    assert "learned from 1,234 shapes of dice without a label" in printed
    assert all(number in page for number in numbers)
    assert str(out / "report.html") in printed
    assert escape(f"--out '{out}' --data '{few}'") in page
    credits = load_shapes(few).credits
    with h5py.File(few / "furniture.h5") as file:
        shown = [f"furniture.h5: {name}" for name in file["name"].asstr()[:]]
    for name in ("meshes/horse2.obj", *shown):
        assert f"{escape(credits[name])}: " in page
    assert not re.search(r"(src|href)=", page)
    check_views(page)


def check_views(page):
    pair, gallery = map(
        json.loads, re.findall(r'<script type="application/json">(.*)</script>', page)
    )
    assert pair["linked"]
    upright, turned = pair["views"]
    assert upright["points"] != turned["points"]
    said = ["is the same" in channel["note"] for channel in pair["channels"]]
    assert said == [True] * 4 + [False]
    assert [view["title"] for view in gallery["views"]] == ["doubleOven"]


class Heights(nn.Module):
    """Describes a shape by its extent along each axis, which a rotation changes."""

    def __init__(self):
        super().__init__()
        self.card = {"data": {"dataset": "none", "shapes": 0}}

    def forward(self, points):
        return points.std(dim=1)


@pytest.mark.usefixtures("weights")
def test_the_furniture_is_clustered_upright_and_where_it_goes_turned_is_told(few):
    found = cluster_furniture(few, Progress(disable=True))
    assert found.shapes.points.shape == found.turned.points.shape == (9, 1024, 3)
    assert found.report.n_clusters == 3
    with h5py.File(few / "furniture.h5") as file:
        x, y, z = np.moveaxis(file["data"][:], 2, 0)
        labels = file["label"][:]
    np.testing.assert_allclose(found.shapes.points, np.stack([z, x, y], axis=2), atol=1e-5)
    moved = (found.shapes.points - found.turned.points).norm(dim=2).amax(dim=1)
    assert (moved > 0.1).all()
    for upright, turned in zip(found.shapes.points, found.turned.points, strict=True):
        _, error = Rotation.align_vectors(turned.numpy(), upright.numpy())
        assert error < 1e-4
    assert found.changes.max() < 0.05
    runs = found.report.methods[0].runs
    assert len(runs) == 5
    for run, fraction in zip(runs, found.staying, strict=True):
        assert fraction == np.mean(run.clusters == run.test_clusters)
        nmi = normalized_mutual_information(labels, run.test_clusters)
        assert run.test_measures["nmi"] == nmi


def test_features_that_know_the_pose_do_not_stay_in_their_clusters(few, monkeypatch):
    monkeypatch.setattr(_demo_clusters, "load", lambda name: Heights())
    found = cluster_furniture(few, Progress(disable=True))
    assert np.mean(found.staying) < 0.8
    assert found.changes.max() > 0.1
    page = render_page("t", [cluster_section(found)])
    first = found.report.methods[0].runs[0]
    leaving = [i for i in found.shown if first.clusters[i] != first.test_clusters[i]]
    assert len(re.findall(r"<strong>→ \d</strong>", page)) == len(leaving) > 0
    (data,) = re.findall(r'id="gallery-data">(.*)</script>', page)
    data = json.loads(data)
    assert data["indices"] == list(range(9))
    assert len(data["points"]) == len(data["turned"])
    assert data["points"] != data["turned"]


def test_without_its_weights_the_demo_names_them(few, tmp_path, monkeypatch):
    monkeypatch.setattr(weights_source, "SHIPPED", tmp_path)
    message = f"there are no weights {_demo_clusters.WEIGHTS}; .*there are none in this copy"
    with pytest.raises(FileNotFoundError, match=message):
        cluster_furniture(few, Progress(disable=True))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], r"nowhere.furniture\.h5 is not there.*repository.*--data"),
        (["--out", "file"], r"--out file: is a file; name a folder"),
    ],
)
def test_wrong_folders_are_named_without_traceback(
    arguments, message, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    with pytest.raises(SystemExit) as stop:
        main(["demo", *arguments])
    assert stop.value.code in (1, 2)
    printed = capsys.readouterr()
    assert re.search(message, printed.err.replace("\n", " "))
    assert "Traceback" not in printed.err + printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("quick")
def test_without_matplotlib_the_page_is_written_and_the_extra_named(
    few, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert demo(out=tmp_path, data=few) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "pip install 'pcclust[report]'" in capsys.readouterr().err
