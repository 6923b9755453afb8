"""One command must tell how linearly separable features are, of runs and of anybody's encoders."""

import re
import textwrap

import h5py
import numpy as np
import pytest
import torch

from pcclust.cli.main import main
from pcclust.evaluate import LinearReport
from pcclust.nn import Classifier, PointNet
from pcclust.nn.weights import save_weights
from tests.evaluate.known_shapes import rods_and_balls

NAMES = ["rod", "ball"]
MINE = """
    import torch
    from torch import nn

    from pcclust.nn import Classifier, PointNet


    def radius(clouds):
        return clouds.norm(dim=2).amax(dim=1)[:, None]

    def height(clouds):
        return (clouds[..., 2].amax(dim=1) - clouds[..., 2].amin(dim=1))[:, None]

    def same(clouds):
        return torch.ones(len(clouds), 3)

    def infinite(clouds):
        return clouds.mean(dim=1) / 0

    def interrupted(clouds):
        raise KeyboardInterrupt

    def classifier():
        return Classifier(PointNet(), 2)

    class Drawn(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 16)

        def forward(self, clouds):
            return self.layer(clouds).relu().amax(dim=1)
"""


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "linear", *map(str, arguments), "--num-points", "64"])
    return int(stopped.value.code or 0)


def write(path, points, labels=None, names=NAMES):
    with h5py.File(path, "w") as file:
        file["data"] = points.numpy()
        if labels is not None:
            file["label"] = labels.numpy()
            file.attrs["class_names"] = names
        file.attrs["up_axis"] = "z"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a user's file and shapes, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(textwrap.dedent(MINE))
    (tmp_path / "both").mkdir()
    write(tmp_path / "both" / "train.h5", *rods_and_balls(40, 64, seed=1))
    write(tmp_path / "both" / "test.h5", *rods_and_balls(24, 64))
    write(tmp_path / "shapes.h5", *rods_and_balls(24, 64))
    return tmp_path


QUICK = ("--data", "both", "--rotations", "2", "--draws", "2", "--landmarks", "5")
REPORTED = (*QUICK, "--label-shares", "0.1", "--report", "out")


def report_of(folder):
    return LinearReport.from_json((folder / "linear.json").read_text())


def test_features_of_a_function_are_probed_and_the_report_is_written(here, capsys):
    assert run("mine.py:radius", *REPORTED, "--votes", "2") == 0
    shown = capsys.readouterr()
    assert "304 clouds to encode, 31 classifiers to train" in shown.err
    assert re.search(r"linear SVM +100.0 +100.0 ± 0.0 +100.0 ± 0.0 +100.0 ± 0.0", shown.out)
    assert re.search(r"10 % \(4\) +100.0 ± 0.0", shown.out)
    assert max(map(len, shown.out.splitlines())) <= 80
    found = report_of(here / "out")
    assert found.score("SO3/SO3").mean == 1
    assert found.settings["clouds"] == 2 * (40 + 2 * 24) + 2 * (40 + 24)
    assert found.about["trained with"].startswith("both, train: 40 shapes")


def test_the_numbers_are_those_of_the_turns(here):
    assert run("mine.py:height", *REPORTED) == 0
    found = report_of(here / "out")
    assert found.score("z/z").mean == 1
    assert 0.5 < found.score("z/SO3").mean < 0.95
    assert found.score("SO3/SO3").mean > 0.6
    assert f"{100 * found.score('z/SO3').mean:.1f} ± " in (here / "out" / "linear.md").read_text()
    assert "Frozen features" in (here / "out" / "report.html").read_text()


def test_of_a_classifier_the_backbone_is_probed_in_a_run_or_in_a_users_file(here):
    card = {"model": "pointnet", "model_kwargs": {}, "class_names": ["ball", "rod"]}
    torch.manual_seed(0)
    save_weights(here / "own.safetensors", Classifier(PointNet(), 2), card)
    for model in ("own.safetensors", "mine.py:classifier"):
        assert run(model, *REPORTED, "--report", f"of {model}") == 0
        found = report_of(here / f"of {model}")
        assert found.settings["features"] == PointNet().out_channels > 2
        assert found.score("z/z").mean > 0.8


def test_untrained_encoders_of_pcclust_are_drawn_by_the_seed(here, capsys):
    def told(model, seed):
        assert run(model, *REPORTED, "--report", f"{model}{seed}", "--seed", seed) == 0
        return report_of(here / f"{model}{seed}")

    assert told("pcclust.nn:PointNet", 0).settings["features"] == PointNet().out_channels
    assert "Without --weights the parameters are as pcclust.nn:PointNet makes them" in (
        capsys.readouterr().err
    )
    statistics = told("pcclust.nn.rri_statistics:rri_statistics", 0)
    assert statistics.score("z/SO3").mean == 1
    one, again = ([score.to_dict() for score in told("mine.py:Drawn", 3).scores] for _ in range(2))
    assert one == again
    assert one != [score.to_dict() for score in told("mine.py:Drawn", 4).scores]


def test_it_shares_a_page_with_the_evaluation_of_rotations(here):
    assert run("mine.py:radius", *REPORTED) == 0
    asked = ("--features", *QUICK[:-4], "--num-points", "64", "--tilts", "0", "--report", "out")
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "rotation", "mine.py:radius", *asked])
    assert not stopped.value.code
    page = (here / "out" / "report.html").read_text()
    assert "Frozen features" in page
    assert "Turned shapes" in page
    assert page.count("<pre>") == 2


def test_shapes_in_two_files_are_trained_with_and_tested(here):
    asked = ("--data", "shapes.h5", "--train-data", "both", "--rotations", "1")
    assert run("mine.py:radius", *asked, "--label-shares", "0.1", "--report", "out") == 0
    assert report_of(here / "out").score("z/SO3").mean == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mine.py:radius", "--data", "shapes.h5"), "shapes.h5 has no training split: name"),
        (("mine.py:radius", "--data", "half"), "half/test.h5 does not exist"),
        (("mine.py:radius", "--data", "half", "--split", "train"), "half, train would be trained"),
        (("mine.py:radius", *QUICK, "--split", "train"), "both, train would be trained with and"),
        (
            ("mine.py:radius", "--data", "shapes.h5", "--train-data", "./shapes.h5"),
            "shapes.h5 would be trained with and tested",
        ),
        (("mine.py:radius", "--data", "bare.h5", "--train-data", "both"), "bare.h5 has no labels"),
        (("mine.py:radius", "--data", "both", "--train-data", "bare.h5"), "bare.h5 has no labels"),
        (
            ("mine.py:radius", "--data", "both", "--train-data", "rods.h5"),
            "all 6 training shapes are of the class 'rod'",
        ),
        (
            ("mine.py:radius", "--data", "three.h5", "--train-data", "both"),
            "1 of the classes to test have no training shape: 'cone'",
        ),
        (
            ("mine.py:radius", "--data", "one.h5", "--train-data", "one too.h5"),
            "a single training shape teaches nothing",
        ),
        (("mine.py:same", *QUICK), r"features of all 40 training shapes are equal"),
        (("mine.py:infinite", *QUICK), r"the model returned -?inf in row"),
        (("mine.py:Drawn", "--weights", "bad.pt", *QUICK), "no weights that can be read safely"),
        (("bad.pt", *QUICK), "bad.pt"),
        (("mine.py:radius", *QUICK, "--label-shares", "5"), "fraction of 5 of the labels"),
        (("mine.py:radius", *QUICK, "--votes", "-1"), "--azimuths -1"),
        (("mine.py:radius", *QUICK, "--neighbors", "0"), "--neighbors 0"),
        (("mine.py:radius",), "name the shapes to test with, by --data"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_and_what_to_do(here, capsys, arguments, message):
    class Nasty:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"state_dict": Nasty()}, here / "bad.pt")
    points, labels = rods_and_balls(12, 64)
    (here / "half").mkdir()
    write(here / "half" / "train.h5", points, labels)
    write(here / "bare.h5", points)
    write(here / "rods.h5", points[labels == 0], labels[labels == 0])
    write(here / "three.h5", points, torch.arange(12) % 3, [*NAMES, "cone"])
    for name in ("one.h5", "one too.h5"):
        write(here / name, points[:1], labels[:1])
    assert run(*arguments) in (1, 2)
    shown = capsys.readouterr()
    assert re.search(message, shown.err.splitlines()[-1]), shown.err
    assert "Traceback" not in shown.err
    assert "executed" not in shown.out


def test_an_interruption_ends_with_130_and_leaves_no_report(here):
    assert run("mine.py:interrupted", *REPORTED) == 130
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("limits", "shapes"), [((), (10, 40)), (("--train-limit", "20"), (10, 20))]
)
def test_limits_are_of_the_shapes_to_test_and_to_train_with(here, limits, shapes):
    assert run("mine.py:radius", *REPORTED, "--limit", "10", *limits) == 0
    found = report_of(here / "out")
    assert (found.shapes, found.learned) == shapes
    assert np.isfinite(found.score("z/z").mean)
