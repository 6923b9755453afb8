import hashlib
import io
import os
import subprocess
import sys
import zipfile
from html.parser import HTMLParser

import numpy as np
import pytest

from pcclust.cli.main import main
from pcclust.data import open_dataset, registry
from pcclust.data.registry import SOURCES, Source
from pcclust.report import contact_sheet as sheets
from tests.data.dataset_layouts import CUBE_OBJ, TRIANGLES, modelnet_off
from tests.data.loopback import Behaviour, server


def run(*arguments):
    with pytest.raises(SystemExit) as stop:
        main(["data", *map(str, arguments)])
    return int(stop.value.code or 0)


def archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("set/a.txt", "A")
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def surroundings(monkeypatch, tmp_path):
    monkeypatch.setenv("PCCLUST_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("PCCLUST_OFFLINE", raising=False)


@pytest.fixture
def toy(monkeypatch):
    behaviour = Behaviour(archive())
    with server(file=behaviour) as address:
        source = Source("toy", "A toy set", "Free for toys.", (f"{address}/file",), "set")
        monkeypatch.setitem(registry.SOURCES, "toy", source)
        yield behaviour


@pytest.fixture
def shapes(tmp_path):
    for name, text in {"chair/a.off": TRIANGLES, "table/b.obj": CUBE_OBJ}.items():
        (tmp_path / "in" / name).parent.mkdir(parents=True)
        (tmp_path / "in" / name).write_text(text)
    return tmp_path / "in"


def test_list_names_every_source(capsys):
    assert run("list") == 0
    out = capsys.readouterr().out
    for source in SOURCES.values():
        assert source.name in out
    assert "gated" in out


def test_fetch_shows_the_terms_and_says_that_the_hash_was_recorded(toy, capsys, tmp_path):
    assert run("fetch", "toy") == 0
    out = capsys.readouterr().out
    digest = hashlib.sha256(toy.content).hexdigest()
    assert out.index("Terms: Free for toys.") < out.index("no SHA-256 is published; recorded")
    assert f"{digest}, which came unencrypted" in out
    assert (tmp_path / "data" / "set" / "a.txt").read_text() == "A"
    assert run("fetch", "toy") == 0
    assert "is there already" in capsys.readouterr().out
    assert len(toy.requests) == 1


def test_terms_are_shown_before_the_first_connection(toy, capsys):
    assert run("fetch", "toy", "--offline") == 1
    captured = capsys.readouterr()
    assert "Free for toys." in captured.out
    assert "this is offline" in captured.err
    assert toy.requests == []


def test_known_hash_is_said_to_be_as_expected(toy, monkeypatch, capsys, tmp_path):
    known = Source(
        "toy",
        "A toy",
        "Free.",
        SOURCES["toy"].mirrors,
        "set",
        sha256=hashlib.sha256(toy.content).hexdigest(),
    )
    monkeypatch.setitem(registry.SOURCES, "toy", known)
    assert run("fetch", "toy", "--root", tmp_path / "other") == 0
    assert "as expected" in capsys.readouterr().out


def test_verify_and_where(toy, capsys, tmp_path):
    assert run("verify") == 0
    assert "nothing was fetched" in capsys.readouterr().out
    run("fetch", "toy")
    capsys.readouterr()
    assert run("verify") == 0
    assert "toy: whole" in capsys.readouterr().out
    (tmp_path / "data" / "set" / "a.txt").write_text("changed")
    assert run("verify", "toy") == 1
    captured = capsys.readouterr()
    assert "toy: 1 fault" in captured.out
    assert "set/a.txt: 7 bytes" in captured.err
    assert run("where", "toy") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "data" / "set")
    assert run("where") == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "data")


def test_wrong_use_is_one_line_without_traceback(capsys, tmp_path):
    for arguments, message in (
        (("fetch", "mnist"), "no dataset 'mnist'; there are modelnet40-hdf5"),
        (("fetch", "scanobjectnn"), "accept the terms in the form"),
        (("verify", "modelnet40-hdf5"), "is not in"),
        (("prepare", tmp_path / "nowhere", "--out", tmp_path / "a.h5"), "no such file or folder"),
        (("show", tmp_path, "--out", tmp_path / "a.gif"), "must end in .png or .html"),
        (("show", tmp_path, "--out", tmp_path / "a.png"), "holds no shapes"),
    ):
        assert run(*arguments) in (1, 2)
        error = capsys.readouterr().err
        assert message in error
        assert "Traceback" not in error


def test_prepare_a_folder(shapes, tmp_path, capsys):
    (shapes / "chair" / "bad.obj").write_text("nothing")
    out = tmp_path / "out.h5"
    options = ("--num-points", 64, "--up-axis", "y", "--workers", 0)
    assert run("prepare", shapes, "--out", out, *options) == 1
    captured = capsys.readouterr()
    assert "2 shapes" in captured.out
    assert "1 could not be read" in captured.out
    assert "bad.obj" in captured.err
    dataset = open_dataset(out)
    assert (dataset.names, dataset.num_points, dataset.up_axis) == (
        ["chair/a.off", "table/b.obj"],
        64,
        "y",
    )


def test_prepare_a_known_dataset(tmp_path):
    modelnet_off(tmp_path / "m", ["chair", "sofa"])
    out = tmp_path / "out.h5"
    assert run("prepare", tmp_path / "m", "--out", out, "--split", "test", "--workers", 0) == 0
    assert open_dataset(out).counts() == {"chair": 2, "sofa": 2}


class Views(HTMLParser):
    def __init__(self):
        super().__init__()
        self.canvases, self.references = 0, []

    def handle_starttag(self, tag, attributes):
        self.canvases += tag == "canvas"
        self.references += [v for k, v in attributes if k in ("src", "href")]


def test_show_writes_a_picture_and_a_self_contained_page(shapes, tmp_path):
    matplotlib_image = pytest.importorskip("matplotlib.image")
    out = tmp_path / "sheet.png"
    assert run("show", shapes, "--out", out, "--num-points", 256) == 0
    picture = matplotlib_image.imread(out)
    drawn = (picture[..., :3].min(axis=2) < 0.9).mean(axis=1)
    height, width = picture.shape[:2]
    assert width > 100
    # Two rows of shapes: ink in both halves below the title.
    assert drawn[height // 4 : height // 2].max() > 0.01
    assert drawn[3 * height // 5 :].max() > 0.01
    page = tmp_path / "sheet.html"
    assert run("show", shapes, "--out", page, "--num-points", 256) == 0
    parsed = Views()
    parsed.feed(page.read_text())
    assert parsed.canvases == 2
    assert not [url for url in parsed.references if url.startswith(("http", "//"))]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "sheet.html", "sheet.png"]


def test_show_chooses_classes_and_shapes(tmp_path, capsys):
    modelnet_off(tmp_path / "m", ["bed", "chair", "sofa"], per_split=4)
    out = tmp_path / "sheet.html"
    assert run("show", tmp_path / "m", "--out", out, "--classes", "sofa,bed", "--per-class", 3) == 0
    assert "6 shapes in 2 rows" in capsys.readouterr().out
    text = out.read_text()
    assert "sofa_train0002" in text
    assert "sofa_train0003" not in text
    assert "chair_train" not in text


def test_every_up_axis_is_drawn_upwards():
    import torch

    from pcclust.data import PointDataset

    rod = torch.linspace(-1, 1, 50)
    for k, axis in enumerate("xyz"):
        points = torch.zeros(1, 50, 3)
        points[..., k] = rod
        points[..., (k + 1) % 3] = 0.1 * rod.square()
        row = sheets.sheet_of(PointDataset(points, up_axis=axis), "rods", 1).rows[0]
        seen = sheets.project(row.points[0])
        assert np.ptp(seen[:, 1]) > 5 * np.ptp(seen[:, 0])
        assert seen[-1, 1] > seen[0, 1], "up is up"


def test_projection_is_a_rotation():
    frame = sheets.project(np.eye(3))
    assert np.allclose(frame @ frame.T, np.eye(3))
    assert np.linalg.det(frame) == pytest.approx(1)


def test_without_matplotlib_the_extra_is_named(shapes, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)  # another test may have it
    assert run("show", shapes, "--out", tmp_path / "a.png") == 1
    assert "pip install 'pcclust[report]'" in capsys.readouterr().err


def test_runs_as_a_command(tmp_path):
    command = [sys.executable, "-m", "pcclust.cli.main", "data", "where"]
    environment = {**os.environ, "PCCLUST_DATA": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == str(tmp_path)
