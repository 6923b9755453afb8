"""Messages of the library name the options of the command line there."""

from functools import partial

import h5py
import numpy as np
import pytest

from pcclust.cli._options import in_options, speak_of
from pcclust.cli.main import main
from pcclust.data import open_dataset


@pytest.fixture
def clouds(tmp_path):
    folder = tmp_path / "clouds"
    folder.mkdir()
    for number in range(4):
        points = np.random.default_rng(number).normal(size=(50, 3))
        np.savetxt(folder / f"{number}.xyz", points)
    return folder


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "shapes.h5", "w") as opened:
        opened["data"] = np.random.default_rng(0).normal(size=(4, 50, 3)).astype(np.float32)
        opened["label"] = np.arange(4) % 2
    return tmp_path / "shapes.h5"


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    assert stopped.value.code
    return capsys.readouterr().err


@pytest.mark.parametrize("option", ["--split", "--test"])
def test_a_split_that_is_not_there(clouds, option, capsys):
    said = refused(capsys, "cluster", clouds, option, "test", "--clusters", 2, "--num-points", 40)
    assert f"is a folder of shapes without splits; leave {option} test out" in said
    with pytest.raises(ValueError, match="leave split='test' out"):
        open_dataset(clouds, split="test")


@pytest.mark.parametrize(
    "command",
    ["cluster {} --clusters 2", "train {} --out {}.run", "data prepare {} --out {}.out.h5"],
)
def test_more_points_than_there_are(command, file, capsys):
    given = command.format(file, file).split()
    said = refused(capsys, *given, "--num-points", "99")
    assert "error: --num-points 99, but the shapes" in said
    assert "have only 50 points; ask for so many at most" in said


def test_each_shape_that_has_too_few(clouds, tmp_path, capsys):
    said = refused(capsys, "rri", clouds, "--k", 60, "--out", tmp_path / "features.h5")
    assert said.count(": --k 60 exceeds the 49 other points") == 4


def test_a_setting_that_a_training_refuses(file, capsys):
    said = refused(capsys, "pretrain", "simclr", file, "--crop", 2)
    assert "error: --crop 2.0 must be" in said


def test_a_note_of_the_data(tmp_path, capsys):
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    assert "unless --up-axis is given" in refused(capsys, "cluster", tmp_path, "--test", "test")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("k=5 exceeds", "--k 5 exceeds"),
        ("k=7 exceeds", "--k 7 exceeds"),  # a default of a call within
        ("split='a b'", "--split 'a b'"),
        ("split='train'", "--test train"),
        ("(num_points=9), num_points", "(--num-points 9), --num-points"),
        ("bandwidth=5", "bandwidth=5"),  # no option of this command
        ("out/k=5/x and out/k=5", "out/k=5/x and out/k=5"),
        ("num_points/a.h5, b.num_points, 'num_points'", None),
        ("n_clusters=3 exceeds n_samples=2", "--clusters 3 exceeds n_samples=2"),
        ("k=5.off: data/num_points=9.h5", None),
    ],
)
def test_names_are_replaced_and_paths_are_not(message, told):
    speak_of(partial(print, k=5, split="a b", test="train", num_points=9, clusters="3"))
    assert in_options(message) == (told or message)
    speak_of(None)
    assert in_options(message) == message
