"""A small page of every kind that pcclust writes, by its command where that is quick."""

import numpy as np
import pytest
import torch

from pcclust.cli.demo import demo
from pcclust.cli.main import main
from pcclust.data import PointDataset
from pcclust.data.corruptions import KINDS
from pcclust.evaluate import CorruptionReport, LinearReport, Rotations, rotation
from pcclust.evaluate.linear_report import PROBES, ProbeScores
from pcclust.report.evaluation_page import evaluation_page
from pcclust.report.notebook import html_of
from tests.demo.few import ship_small_weights, turn_seldom, write_few
from tests.evaluate.known_shapes import by_height, rods_and_balls
from tests.methods.families import write_families

PAGES = ("demo", "evaluation", "clusters", "side-by-side", "view", "single", "sheet", "notebook")
CLASSES = tuple(f"class of shapes {number}" for number in range(14))


def run(*arguments):
    with pytest.raises(SystemExit) as stopped:
        main([*map(str, arguments)])
    assert not stopped.value.code


def write_page(name, folder):
    """Writes a page of one kind; returns its path."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_families(folder / "shapes.h5", 60, num_points=64)
        return folder / WRITERS[name](folder, patch)


def _demo(folder, patch):
    (folder / "few").mkdir()
    (folder / "weights").mkdir()
    ship_small_weights(folder / "weights", patch)
    turn_seldom(patch)
    assert demo(out=folder / "demo", data=write_few(folder / "few")) == 0
    return "demo/report.html"


def _by_height(clouds):
    """Says one of two of many classes."""
    return torch.nn.functional.pad(by_height(clouds), (0, len(CLASSES) - 2), value=-9.0)


def _rotations():
    points, labels = rods_and_balls(56)
    labels[4:] = torch.arange(4, len(labels)) % len(CLASSES)
    rounds = Rotations(rounds=2, tilts=3, seed=5)
    about = {"model": "by height", "data": "rods", "command": "pcclust evaluate rotation …"}
    return rotation(
        _by_height, points, labels, trained="z", rotations=rounds, class_names=CLASSES, about=about
    )


def _evaluation(folder, patch):
    accuracies = {kind: [0.8, 0.7, 0.6, 0.5, 0.4] for kind in KINDS}
    corruptions = CorruptionReport({"model": "by height"}, {"seed": 0}, 10, 0.9, accuracies)
    scores = [
        ProbeScores(probe, protocol, 10, np.full((1, 2), 0.5), np.full(1, 0.5))
        for protocol in ("upright", "z/z", "z/SO3", "SO3/SO3")
        for probe in PROBES
    ]
    probes = LinearReport({"model": "by height"}, {"azimuths": 0}, 10, 20, tuple(scores))
    page = evaluation_page(_rotations(), corruptions, probes)
    (folder / "report.html").write_text(page, encoding="utf-8")
    return "report.html"


def _clusters(folder, patch):
    run("cluster", "shapes.h5", "--clusters", "2-24", "--out", "clusters", "--method", "kmeans",
        "--method", "ward", "--seeds", 2)  # fmt: skip
    return "clusters/gallery.html"


def _side_by_side(folder, patch):
    run("evaluate", "clustering", "--data", "shapes.h5", "--method", "kmeans", "--method",
        "hdbscan", "--seeds", 2, "--rotations", 1, "--report", "runs")  # fmt: skip
    return "runs/report.html"


def _view(folder, patch):
    run("view", "shapes.h5", "--shapes", 6, "--clusters", 2, "--color", "label", "--k", 8)
    return "view.html"


def _single(folder, patch):
    np.save(folder / "scan.npy", np.random.default_rng(0).normal(size=(500, 3)))
    run("view", "scan.npy", "--out", "single.html")
    return "single.html"


def _sheet(folder, patch):
    run("data", "show", "shapes.h5", "--out", "sheet.html")
    return "sheet.html"


def _notebook(folder, patch):
    """Writes what Jupyter shows of a report and a dataset, in frames."""
    points, labels = rods_and_balls(8)
    shapes = PointDataset(points, labels, class_names=("rod", "ball"))
    head = '<!doctype html><html lang="en"><title>notebook</title><main><h1>A notebook</h1>'
    parts = [html_of(_rotations()), html_of(shapes)]
    page = f"{head}{''.join(parts)}</main></html>"
    (folder / "notebook.html").write_text(page, encoding="utf-8")
    return "notebook.html"


WRITERS = {
    "demo": _demo,
    "evaluation": _evaluation,
    "clusters": _clusters,
    "side-by-side": _side_by_side,
    "view": _view,
    "single": _single,
    "sheet": _sheet,
    "notebook": _notebook,
}
assert tuple(WRITERS) == PAGES
