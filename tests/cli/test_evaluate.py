"""One command must evaluate anybody's model, and say plainly what is wrong with it."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from html.parser import HTMLParser
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from pcclust.cli.main import main
from pcclust.evaluate import RotationReport
from pcclust.nn import Classifier, PointNet
from pcclust.nn.weights import save_weights
from tests.evaluate.known_shapes import rods_and_balls

NAMES = ["rod", "ball"]

# What a user has in a file of theirs: a PointNet in twenty lines, for (B, 3, N).
POINTNET = """
    import torch
    from torch import nn


    class PointNet(nn.Module):
        def __init__(self, num_classes=2):
            super().__init__()
            widths = [3, 32, 64]
            layers = []
            for before, after in zip(widths, widths[1:]):
                layers += [nn.Conv1d(before, after, 1), nn.BatchNorm1d(after), nn.ReLU()]
            self.points = nn.Sequential(*layers)
            self.head = nn.Sequential(
                nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, num_classes)
            )

        def forward(self, clouds):
            features = self.points(clouds).amax(dim=2)
            return self.head(features), features
"""
# Functions whose answers are known, and everything that can be wrong with a model.
KNOWN = """
    import torch

    def by_height(clouds):
        height = clouds[..., 2].amax(dim=1) - clouds[..., 2].amin(dim=1)
        return torch.stack([height - 1, 1 - height], dim=1)

    def radius(clouds):
        return clouds.norm(dim=2).amax(dim=1)[:, None]

    def three(clouds):
        return clouds.mean(dim=1)

    def factory():
        return by_height

    def nothing():
        return None

    def two(clouds, labels):
        return clouds

    class Needy(torch.nn.Module):
        def __init__(self, width):
            super().__init__()

    class Broken(torch.nn.Module):
        def __init__(self):
            self.layer = torch.nn.Linear(1, 1)

    def interrupted(clouds):
        raise KeyboardInterrupt

    number = 3
"""


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", *map(str, arguments)])
    return int(stopped.value.code or 0)


def write(path, points, labels, names=NAMES):
    with h5py.File(path, "w") as file:
        file["data"], file["label"] = points.numpy(), labels.numpy()
        file.attrs["class_names"], file.attrs["up_axis"] = names, "z"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a user's files and shapes, which is the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(textwrap.dedent(POINTNET))
    (tmp_path / "known.py").write_text(textwrap.dedent(KNOWN))
    (tmp_path / "broken.py").write_text("def model(:\n")
    (tmp_path / "importing.py").write_text("import no_such_package_of_theirs\n")
    write(tmp_path / "shapes.h5", *rods_and_balls(24, 1024))
    (tmp_path / "both").mkdir()
    write(tmp_path / "both" / "train.h5", *rods_and_balls(40, 64, seed=1))
    write(tmp_path / "both" / "test.h5", *rods_and_balls(24, 64))
    yield tmp_path
    for name in ("known", "mine"):
        sys.modules.pop(name, None)


def report_of(folder):
    return RotationReport.from_json((folder / "rotation.json").read_text())


QUICK = ("--rotations", "2", "--tilts", "3")
SMALL = (*QUICK, "--num-points", "64")


def test_a_users_own_model_is_evaluated_by_one_command(here, capsys):
    assert run("rotation", "mine.py:PointNet", "--data", "shapes.h5", "--report", "out") == 0
    shown = capsys.readouterr()
    assert "takes (B, 3, N)" in shown.out
    assert "24 shapes of 1,024 points: 552 clouds to ask about" in shown.err
    found = report_of(here / "out")
    assert found.about["kind"].startswith("PointNet, ")
    assert found.settings["layout"] == "B3N"
    answers = found.under("SO3")
    assert f"{100 * answers.mean:.1f} ± {100 * answers.std:.1f}" in shown.out
    assert f"{100 * answers.mean:.1f} ± " in (here / "out" / "rotation.md").read_text()
    assert "mine.py:PointNet" in (here / "out" / "report.html").read_text()


def test_the_numbers_are_those_of_the_model(here, capsys):
    asked = ("known.py:by_height", "--data", "shapes.h5", "--trained", "z", "--report", "out")
    assert run("rotation", *asked) == 0
    found = report_of(here / "out")
    assert found.under("z/z").mean == 1
    assert found.under("z/SO3").per_class[1] == 1
    assert 0.2 < found.under("z/SO3").per_class[0] < 0.8
    assert re.search(r"z/z +100.0 ± 0.0 ", capsys.readouterr().out)
    np.testing.assert_array_equal(found.tilt_accuracy("z")[[0, 6, 12]], [1, 0.5, 1])


@pytest.mark.parametrize("name", ["known.py:factory", "known:by_height", "known:factory"])
def test_models_are_found_in_files_and_in_modules_of_the_folder(here, name):
    assert run("rotation", name, "--data", "shapes.h5", "--report", "out", *QUICK) == 0
    assert report_of(here / "out").under("z").mean == 1


@pytest.mark.parametrize("wrap", [dict, lambda state: {"epoch": 3, "model_state_dict": state}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_are_loaded_into_a_users_model(here, wrap, prefix):
    sys.path.insert(0, str(here))
    from mine import PointNet as Theirs

    sys.path.remove(str(here))
    model = Theirs().eval()
    state = {prefix + name: value for name, value in model.state_dict().items()}
    torch.save(wrap(state), here / "weights.pt")
    asked = ("mine.py:PointNet", "--weights", "weights.pt", "--data", "shapes.h5", *QUICK)
    assert run("rotation", *asked, "--report", "out") == 0
    points, _ = rods_and_balls(24, 1024)
    expected = model(points.mT)[0].argmax(dim=1)
    np.testing.assert_array_equal(report_of(here / "out").upright[""], expected)


def test_a_run_knows_how_it_was_trained_and_what_its_classes_are(here, capsys):
    names = ["ball", "cone", "rod"]  # another order than in the data, and one class more
    torch.manual_seed(0)
    model = Classifier(PointNet(), 3).eval()
    card = {
        "model": "pointnet",
        "model_kwargs": {},
        "class_names": names,
        "missing_classes": ["rod"],
        "num_points": 32,
        "config": {"rotation": "so3", "dataset": str(here / "both")},
    }
    (here / "run").mkdir()
    save_weights(here / "run", model, card)
    assert run("rotation", "run", "--report", "out", *QUICK) == 0
    found = report_of(here / "out")
    assert found.class_names == tuple(names)
    assert [*found.predictions] == ["SO3/z", "SO3/SO3"]
    points, labels = rods_and_balls(24, 64)
    np.testing.assert_array_equal(found.labels, np.where(labels == 0, 2, 0))
    expected = model(points[:, :32]).argmax(dim=1)
    np.testing.assert_array_equal(found.upright["SO3"], expected)
    assert "no training shapes of rod" in capsys.readouterr().err

    write(here / "other.h5", *rods_and_balls(24, 64), ["rod", "disc"])
    assert run("rotation", "run", "--data", "other.h5") == 1
    assert "shapes of the class 'disc', which is none of ball, cone, rod" in capsys.readouterr().err
    weights = here / "run" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert run("rotation", "run") == 1
    assert "is cut short" in capsys.readouterr().err


def test_a_run_is_told_of_where_it_was_trained_on_the_very_shapes(here, capsys):
    config = {"rotation": "z", "dataset": "shapes.h5", "up_axis": "y"}
    card = {"model": "pointnet", "model_kwargs": {}, "class_names": NAMES, "config": config}
    save_weights(here / "own.safetensors", Classifier(PointNet(), 2), card)
    with h5py.File("shapes.h5", "r+") as file:
        del file.attrs["up_axis"]
    assert run("rotation", "own.safetensors", "--report", "out", *QUICK) == 0
    assert "no test split: the run was trained on these shapes" in capsys.readouterr().err
    assert report_of(here / "out").settings["up_axis"] == "y"


def test_features_are_tested_by_linear_probes(here):
    asked = ("known.py:radius", "--features", "--data", "both", "--report", "out", *SMALL)
    assert run("rotation", *asked) == 0
    found = report_of(here / "out")
    assert [*found.predictions] == ["z/z", "z/SO3", "SO3/z", "SO3/SO3"]
    assert all(found.under(name).mean == 1 for name in found.predictions)


def test_features_of_a_run_are_those_of_its_backbone(here):
    card = {"model": "pointnet", "model_kwargs": {}, "class_names": NAMES}
    save_weights(here / "own.safetensors", Classifier(PointNet(), 2), card)
    asked = ("own.safetensors", "--features", "--data", "both", "--report", "out", *SMALL)
    assert run("rotation", *asked) == 0
    assert report_of(here / "out").settings["outputs"] == PointNet().out_channels


def test_both_evaluations_of_one_model_share_a_page(here, capsys):
    asked = ("known.py:by_height", "--data", "shapes.h5", "--report", "out")
    assert run("corruption", *asked) == 0
    damaged = json.loads((here / "out" / "corruption.json").read_text())
    assert damaged["clean"] == 1
    assert f"{damaged['measures']['mce']:.3f}" in capsys.readouterr().out
    assert run("rotation", *asked, *QUICK) == 0
    page = (here / "out" / "report.html").read_text()
    assert "Damaged shapes" in page
    assert "Accuracy by tilt" in page
    assert run("rotation", "known.py:radius", "--data", "shapes.h5", "--report", "out") == 1
    told = capsys.readouterr().err
    assert "holds what was found with model known.py:by_height, not known.py:radius" in told


def test_a_limit_keeps_the_share_of_each_class(here):
    asked = ("known.py:by_height", "--data", "shapes.h5", "--limit", "10", "--report", "out")
    assert run("rotation", *asked, *QUICK) == 0
    assert np.bincount(report_of(here / "out").labels).tolist() == [5, 5]


def test_shapes_that_are_not_centred_are_told_of_and_normalised(here, capsys):
    points, labels = rods_and_balls(24, 64)
    write(here / "raw.h5", 5 + 3 * points, labels)
    asked = ("known.py:by_height", "--data", "raw.h5", "--report", "out", *QUICK)
    run("rotation", *asked)
    assert "24 of 24 shapes are not centred in the unit sphere" in capsys.readouterr().err
    assert run("rotation", *asked, "--normalize") == 0
    assert "unit sphere" not in capsys.readouterr().err
    assert report_of(here / "out").changes["z"].max() < 1e-4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("none.py:Net",), "there is no file none.py: write file.py:name"),
        (("none:Net",), "there is no module none in .*: write file.py:name"),
        (("nowhere",), "there is no model nowhere: give the folder of a run"),
        (("known.py:absent",), "known.py has no absent; it has torch, by_height"),
        (("known.py:",), "names nothing: write file.py:name"),
        (("known.py:number",), "is a int, neither a module nor a function"),
        (("known.py:nothing",), "made a NoneType, neither a module nor a function"),
        (("known.py:two",), "needs clouds, labels; a model takes one batch alone"),
        (("known.py:Needy",), r"cannot be made without width: .*known.py:Needy\(width=…\)'"),
        (("known.py:Broken",), "cannot be made: AttributeError"),
        (("known.py:three",), r"returned \(2, 3\) .*one number for each of the 2 classes"),
        (("broken.py:model",), "broken.py cannot be imported: SyntaxError"),
        (("importing.py:model",), "no_such_package_of_theirs"),
        (("mine.py:PointNet", "--layout", "BN3"), "the other layout was not tried"),
        (("known.py:by_height", "--weights", "w.pt"), "is a function, which takes no --weights"),
        (("known.py:by_height", "--rotations", "0"), "--rotations 0"),
        (("known.py:by_height", "--limit", "0"), "--limit 0 must be at least 1"),
        (("known.py:by_height", "--train-data", "both"), "--train-data is for --features"),
        (("known.py:by_height", "--features"), "shapes.h5 has no training split"),
        (("known.py:by_height", "--report", "known.py"), "known.py: is a file; name a folder"),
        (("mine.py:PointNet", "--weights", "w.pt"), "there is no file of weights w.pt"),
        (("mine.py:PointNet", "--weights", "known.py"), "no weights that can be read safely"),
        (("mine.py:PointNet", "--weights", "other.pt"), "does not fit .* in 25 of its tensors"),
    ],
)
def test_wrong_use_is_one_line_that_says_what_and_what_to_do(here, capsys, arguments, message):
    torch.save(torch.nn.Linear(2, 3).state_dict(), here / "other.pt")
    if "w.pt" in arguments and "known.py:by_height" in arguments:
        torch.save({}, here / "w.pt")
    assert run("rotation", *arguments, "--data", "shapes.h5") in (1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert re.search(message, lines[-1]), lines
    assert "Traceback" not in "".join(lines)


def test_weights_that_would_run_code_are_refused(here, capsys):
    class Nasty:
        def __reduce__(self):
            return (print, ("executed",))

    torch.save({"state_dict": Nasty()}, here / "bad.pt")
    asked = ("mine.py:PointNet", "--weights", "bad.pt", "--data", "shapes.h5")
    assert run("rotation", *asked) == 1
    shown = capsys.readouterr()
    assert "no weights that can be read safely" in shown.err
    assert "executed" not in shown.out


def test_data_without_labels_and_no_data_are_named(here, capsys):
    with h5py.File("bare.h5", "w") as file:
        file["data"] = rods_and_balls(4)[0].numpy()
    assert run("rotation", "known.py:by_height", "--data", "bare.h5") == 1
    assert "bare.h5 has no labels" in capsys.readouterr().err
    assert run("rotation", "known.py:by_height") == 2
    assert "name the shapes to test with, by --data" in capsys.readouterr().err


def test_an_interruption_ends_with_130_and_leaves_no_report(here):
    asked = ("known.py:interrupted", "--data", "shapes.h5", "--report", "out")
    assert run("rotation", *asked) == 130
    assert not (here / "out").exists()


class Page(HTMLParser):
    """Collects what a page would load, and the names of its parts."""

    def __init__(self, page):
        super().__init__()
        self.loaded, self.ids = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.ids += [value for name, value in attributes if name == "id"]
        self.loaded += [v for n, v in attributes if n in ("src", "href", "xlink:href")]


def test_the_page_is_drawn_by_a_browser_without_complaint_and_loads_nothing(here):
    asked = ("known.py:by_height", "--data", "shapes.h5", "--trained", "z", "--report", "out")
    assert run("rotation", *asked) == 0
    assert run("corruption", *asked[:3], *asked[5:]) == 0
    text = (here / "out" / "report.html").read_text()
    page = Page(text)
    assert all(link.startswith(("#", "data:image/png;base64,")) for link in page.loaded)
    assert len(page.ids) == len(set(page.ids))
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs chromium")
    picture = here / "page.png"
    seen = subprocess.run(
        [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
            *("--enable-logging=stderr", f"--user-data-dir={here / 'profile'}"),
            *("--hide-scrollbars", "--window-size=1000,3600", "--virtual-time-budget=3000"),
            *(f"--screenshot={picture}", (here / "out" / "report.html").as_uri()),
        ],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    complaints = [line for line in seen.stderr.splitlines() if "CONSOLE" in line]
    assert not [line for line in complaints if "WebGL" not in line]  # no GPU is here
    image = pytest.importorskip("matplotlib.image").imread(picture)[..., :3]
    assert np.abs(image[0, 0] - 1).max() < 0.01  # the paper, in a light system
    for colour in ((0, 114, 178), (213, 94, 0)):  # the curves and marks of the two protocols
        assert (np.abs(image * 255 - colour).max(axis=-1) < 3).sum() > 100
    panel = np.abs(image * 255 - (243, 244, 246)).max(axis=-1) < 2
    rows = np.flatnonzero(panel.sum(axis=1) > 300)
    views = image[rows.min() : rows.max()]
    coloured = views.max(axis=-1) - views.min(axis=-1) > 0.2
    assert coloured.sum() > 5000  # the shapes that failed


def test_the_example_of_the_readme_runs(here, capsys):
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    (example,) = re.findall(r"```python\n(from torch import nn.*?)```", readme, re.DOTALL)
    (here / "mine.py").write_text(example)
    names = [*NAMES, *(f"class {number}" for number in range(38))]
    write(here / "forty.h5", *rods_and_balls(24, 1024), names)
    assert run("rotation", "mine.py:PointNet", "--trained", "z", "--data", "forty.h5", *QUICK) == 0
    shown = capsys.readouterr()
    assert "z/SO3" in shown.out
    assert "Without --weights the parameters are as mine.py:PointNet makes them" in shown.err
