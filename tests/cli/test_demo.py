"""The demo must tell the truth about every bundled shape, and credit every one."""

import json
import re
import shutil
import sys
from html import escape
from pathlib import Path

import h5py
import numpy as np
import pytest

from pcclust.cli import _demo_page, _demo_report
from pcclust.cli._bundled_shapes import BUNDLED, load_mesh, load_shapes
from pcclust.cli.demo import demo
from pcclust.cli.main import main

LICENCES = {"CC0-1.0": 80 + 45, "CC-BY-3.0": 190, "CC-BY-3.0-US": 63}


@pytest.fixture(scope="module")
def shapes():
    return load_shapes(BUNDLED)


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A data folder of three clouds and two meshes, with all credits."""
    folder = tmp_path_factory.mktemp("few [shapes]")
    (folder / "meshes").mkdir()
    for name in ("meshes/horse2.obj", "meshes/chair2.obj", "CREDITS.md"):
        shutil.copy(BUNDLED / name, folder / name)
    with (
        h5py.File(BUNDLED / "furniture.h5") as all_,
        h5py.File(folder / "furniture.h5", "w") as few_,
    ):
        for name in ("data", "name"):
            few_[name] = all_[name][:3]
    return folder


@pytest.fixture
def quick(monkeypatch):
    """Lets the demo turn all shapes of `few`, but seldom, and show fewer points."""
    monkeypatch.setattr(_demo_report, "STRIDE_WITH_KERNEL", 1)
    monkeypatch.setattr(_demo_report, "STRIDE_WITHOUT_KERNEL", 1)
    monkeypatch.setattr(_demo_report, "ROTATIONS", 2)
    monkeypatch.setattr(_demo_page, "SHOWN_POINTS", 500)


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
    numbers = re.findall(r"\d\.\de-\d\d", printed)
    assert len(numbers) >= 5
    assert all(number in page for number in numbers)
    assert str(out / "report.html") in printed
    assert escape(f"--out '{out}' --data '{few}'") in page
    assert "Twin97 (CC0-1.0)" in page
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "nowhere"], r"nowhere.furniture\.h5 is not there.*clone it.*--data"),
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
    assert stop.value.code == 2
    printed = capsys.readouterr()
    assert re.search(message, printed.err.replace("\n", " "))
    assert "Traceback" not in printed.err + printed.out
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.usefixtures("quick")
def test_without_matplotlib_the_page_is_written_and_the_extra_named(
    few, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "matplotlib.style", None)
    assert demo(out=tmp_path, data=few) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    assert "pip install 'pcclust[report]'" in capsys.readouterr().err
