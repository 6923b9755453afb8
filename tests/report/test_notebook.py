"""What Jupyter and the prompt show of reports, datasets and estimators."""

import html
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console

import pcclust
from pcclust import _progress
from pcclust.data import PointDataset
from pcclust.evaluate import CorruptionReport, LinearReport, Rotations, clustering, rotation
from pcclust.evaluate.linear_report import PROBES, ProbeScores
from pcclust.report.notebook import html_of
from tests.evaluate.known_shapes import by_height, rods_and_balls

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def rotations():
    points, labels = rods_and_balls(6)
    return rotation(
        by_height,
        points,
        labels,
        trained="z",
        rotations=Rotations(rounds=2, tilts=3, seed=5),
        class_names=("rod", HOSTILE),
        about={"model": "by height", "data": HOSTILE},
    )


@pytest.fixture(scope="module")
def corruptions():
    from pcclust.data.corruptions import KINDS

    accuracies = {kind: [0.8, 0.7, 0.6, 0.5, 0.4] for kind in KINDS}
    return CorruptionReport({"model": "m"}, {"seed": 0}, 10, 0.9, accuracies)


@pytest.fixture(scope="module")
def probes():
    scores = [
        ProbeScores(probe, f"z/{i}", 10, np.full((1, 2), 0.5), np.full(1, 0.5))
        for i in range(8)
        for probe in PROBES
    ]
    return LinearReport({"model": "m"}, {"azimuths": 0}, 10, 20, tuple(scores))


@pytest.fixture(scope="module")
def clusters():
    features = np.random.default_rng(0).normal(size=(30, 4))
    return clustering(features, np.arange(30) % 3, methods=("kmeans",), seeds=2)


def frame_of(markup):
    """Returns the page in a frame, and what the frame allows."""
    (found,) = re.findall(r'<iframe sandbox="([^"]*)"[^>]* srcdoc="([^"]*)"></iframe>', markup)
    return html.unescape(found[1]), found[0]


@pytest.mark.parametrize("name", ["rotations", "corruptions", "probes", "clusters"])
def test_reports_are_told_in_few_lines_and_in_tables(name, request):
    report = request.getfixturevalue(name)
    lines = repr(report).splitlines()
    assert lines[0].startswith(type(report).__name__)
    assert 2 < len(lines) + 1 <= 20
    assert max(map(len, lines)) < 160
    shown = report._repr_html_()
    assert shown == html_of(report)
    assert "<table>" in shown
    assert HOSTILE not in shown


def test_the_numbers_are_those_of_the_report(rotations, clusters, probes):
    mean = 100 * rotations.under("z/SO3").mean
    assert f"z/SO3: accuracy {mean:.1f} ± " in repr(rotations)
    accuracy = 100 * clusters.methods[0].mean_and_deviation("accuracy")[0]
    assert f"ACC {accuracy:.1f} %" in repr(clusters)
    assert repr(probes).endswith("… 34 more")


def test_shapes_that_failed_turn_in_a_frame_that_reaches_nothing(rotations):
    assert rotations.failures
    page, allowed = frame_of(rotations._repr_html_())
    assert allowed == "allow-scripts"
    assert page.startswith("<!doctype html>")
    assert page.count('<canvas tabindex="0"') == len(rotations.failures)
    assert HOSTILE not in page
    assert "http" not in page


def test_a_dataset_shows_its_classes_and_some_of_its_shapes():
    labels = torch.arange(40) % 20
    classes = [f"class <{i}>" for i in range(20)]
    shapes = PointDataset(
        torch.rand(40, 1500, 3), labels, class_names=classes, up_axis="y", source="a\x1bb"
    )
    told = repr(shapes)
    assert told == r"PointDataset(a\x1bb: 40 shapes of 1,500 points, 20 classes, y up)"
    shown = shapes._repr_html_()
    assert "class &lt;0&gt;" in shown
    assert "9 more classes</td><td" in shown
    page, _ = frame_of(shown)
    assert page.count("<canvas") == 4
    assert "39, class &lt;19&gt;" in page


def test_a_dataset_that_cannot_be_read_says_so_and_shows_the_rest():
    shapes = PointDataset(torch.full((3, 5, 3), torch.nan))
    shown = shapes._repr_html_()
    assert "3 shapes of 5 points" in shown
    assert "Its shapes cannot be shown: shape 0, point 0 is not finite" in shown
    assert "<iframe" not in PointDataset(torch.empty(3, 0, 3))._repr_html_()  # features alone


def test_estimators_and_features_are_short():
    X = np.random.default_rng(0).normal(size=(500, 300))
    model = pcclust.KMeans(3, init=X[:3]).fit(X)
    assert len(repr(model).splitlines()) <= 20
    assert "KMeans" in model._repr_html_()
    assert "weights" in pcclust.ShapeEmbedding()._repr_html_()
    features = pcclust.embed(lambda clouds: clouds.flatten(1), torch.rand(300, 100, 3))
    assert len(repr(features).splitlines()) <= 20
    with pytest.raises(TypeError, match="view of int"):
        html_of(3)


@pytest.mark.parametrize(
    ("terminal", "jupyter", "widgets", "drawn"),
    [(True, False, False, True), (False, True, True, True), (False, True, False, False),
     (False, False, True, False)],
)  # fmt: skip
def test_bars_move_in_terminals_and_notebooks(monkeypatch, terminal, jupyter, widgets, drawn):
    found = SimpleNamespace() if widgets else None
    monkeypatch.setattr(_progress, "find_spec", lambda name: found)
    console = Console(force_terminal=terminal, force_jupyter=jupyter)
    assert _progress.bar_on(console, "shapes").disable is not drawn


def test_embedding_draws_a_bar(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    shapes = torch.rand(5, 10, 3)
    pcclust.embed(lambda clouds: clouds.amax(dim=1), shapes, batch_size=2, progress=True)
    assert "5/5" in capsys.readouterr().err
