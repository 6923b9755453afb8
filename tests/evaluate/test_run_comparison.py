"""Runs side by side: measures by hand, seeds together, and what does not fit together."""

import json
from itertools import combinations

import numpy as np
import pytest
import torch

from pcclust.cluster import adjusted_rand_index, clustering_accuracy, fit_cluster_map
from pcclust.data.rotations import random_rotations
from pcclust.evaluate.cluster_methods import Clustering
from pcclust.evaluate.cluster_runs import measured_run
from pcclust.evaluate.posed_features import Posed, posed_features
from pcclust.evaluate.pretrained_runs import open_run
from pcclust.evaluate.rotations import Rotations
from pcclust.evaluate.run_comparison import Baselines, RunComparison, Shown
from pcclust.methods.cc import RECIPE
from pcclust.methods.pipeline import Pipeline
from pcclust.nn import RRIStatistics
from pcclust.report.cluster_runs import gallery_pages, run_markdown, run_tables, runs_page
from tests.methods.families import family_set, write_families

TINY = {
    "num_clusters": 3, "num_points": 32, "epochs": 2, "batch_size": 6, "workers": 1,
    "projection": 8, "model": "dgcnn", "model_kwargs": {"k": 4, "channels": [8], "embedding": 16},
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two seeds of one setting, and a run of another."""
    folder = tmp_path_factory.mktemp("runs")
    file = write_families(folder / "shapes.h5", 24, num_points=32)
    for name, settings in (
        ("a", {"seed": 0}),
        ("b", {"seed": 1, "workers": 0}),
        ("c", {"seed": 0, "projection": 4}),
    ):
        config = RECIPE.preset(dataset=str(file), **(TINY | settings))
        assert Pipeline(RECIPE, config, folder / name).run().complete
    return [open_run(str(folder / name)) for name in "abc"]


def shown(count=24, seed=0):
    shapes, labels = family_set(count, num_points=32, seed=seed)
    return Shown(shapes.points, labels.numpy()), shapes.with_points(shapes.points)


def test_every_measure_goes_by_the_map_of_the_fitted_shapes_as_they_stand():
    labels, clusters = np.array([0, 0, 1, 1, 2, 2]), np.array([2, 2, 0, 0, 1, 0])
    moved = [np.array([2, 2, 0, 0, 1, 1]), np.array([0, 0, 2, 2, 1, 0])]
    table = {0.0: clusters, 1.0: moved[0], 2.0: moved[1], 3.0: clusters[::-1]}
    found = Clustering(clusters, lambda features: table[float(features[0, 0])])
    poses = [np.full((6, 2), float(number)) + np.eye(6)[:, :2] * [0, 1] for number in range(4)]
    test = Posed(poses[3], poses[1:2])
    run = measured_run(found, Posed(poses[0], poses[1:3]), labels, test, labels, n_clusters=4)
    mapping = fit_cluster_map(labels, clusters)
    by_map = [clustering_accuracy(labels, each, mapping) for each in moved]
    assert run.measures["fitted"]["accuracy"] == pytest.approx(5 / 6)
    assert run.measures["fitted_turned"]["accuracy"] == pytest.approx(np.mean(by_map))
    assert by_map[1] < 0.5 < clustering_accuracy(labels, moved[1])  # which a map of its own hides
    assert run.measures["fitted_turned"]["consistency"] == pytest.approx(1 / 6)
    assert run.measures["fitted"]["empty"] == 1
    assert run.measures["test"]["accuracy"] == clustering_accuracy(labels, clusters[::-1], mapping)
    assert run.measures["test_turned"]["accuracy"] == 1


def test_without_labels_columns_are_absent():
    found = Clustering(np.arange(6) % 2, lambda features: np.arange(len(features)) % 2)
    features = np.random.default_rng(0).normal(size=(6, 3))
    run = measured_run(found, Posed(features, [features]))
    assert set(run.measures["fitted"]) == {"silhouette", "size_perplexity", "empty"}
    assert set(run.measures["fitted_turned"]) == {"consistency"}


def test_features_are_those_of_turned_shapes():
    points = shown()[0].points
    rotations = Rotations(rounds=2, tilts=0, seed=3)
    flat = lambda clouds: clouds.flatten(1)  # noqa: E731
    posed = posed_features(flat, points, rotations, layout="BN3", batch_size=5)
    np.testing.assert_array_equal(posed.upright, points.flatten(1).numpy())
    for features, matrices in zip(posed.turned, rotations.arbitrary(24), strict=True):
        expected = torch.einsum("npi,nij->npj", points.double(), matrices.mT)
        np.testing.assert_allclose(features, expected.flatten(1), atol=1e-6)
    assert random_rotations(1).shape == (1, 3, 3)


def test_seeds_are_a_row_and_other_settings_another(runs):
    fitted, shapes = shown()
    comparison = RunComparison(
        runs,
        fitted,
        shown(12, seed=1)[0],
        Baselines(("kmeans", "ward"), 3, seeds=2),
        RRIStatistics(),
        Rotations(rounds=2, tilts=0),
    )
    asked = []
    report = comparison.compare({"data": "families"}, shapes.class_names, asked.append)
    assert sum(asked) == comparison.clouds() == 4 * 3 * 36  # encoders, poses, shapes
    assert [len(group.runs) for group in report.groups] == [2, 1, 2, 1]
    assert [group.title for group in report.groups[::2]] == ["cc", "k-means"]
    assert report.groups[1].title.startswith("cc, ")
    first = report.groups[0]
    model = runs[0].model
    with torch.no_grad():
        expected = model.assign(fitted.points).argmax(dim=1)
    np.testing.assert_array_equal(first.runs[0].fitted.upright, expected)
    pairs = combinations([run.fitted.upright for run in first.runs], 2)
    assert first.agreement == np.mean([adjusted_rand_index(*pair) for pair in pairs])
    assert report.groups[1].agreement is None
    np.testing.assert_array_equal(first.runs[0].sizes[-1], np.bincount(expected, minlength=3))
    told = json.loads(report.to_json())
    assert told["groups"][0]["runs"][1]["measures"]["test_turned"].keys() >= {"accuracy", "ari"}


def test_the_page_has_tables_confusion_sizes_and_galleries(runs):
    fitted, shapes = shown()
    comparison = RunComparison(runs, fitted, rotations=Rotations(rounds=1, tilts=0))
    report = comparison.compare({"data": "<families>"}, ("box", "plate", "sphere"))
    labelled = shapes.with_points(fitted.points)
    page = runs_page(report, labelled)
    assert page.count('role="img" aria-label="Sizes of the clusters of') == 2
    assert page.count('role="img" aria-label="Classes of the clusters of') == 2
    assert 'href="gallery-2.html"' in page
    assert "&lt;families&gt;" in page
    names = [name for name, text in gallery_pages(report, labelled) if "<article" in text]
    assert names == ["gallery-1.html", "gallery-2.html"]
    assert [table.caption for table in run_tables(report)] == [
        "As they stand, in %", "Turned any way, in %", "Without labels",
    ]  # fmt: skip
    assert "seeds agree" in run_markdown(report)


def test_unlabelled_shapes_have_one_table_and_no_confusion(runs):
    fitted, shapes = shown()
    unlabelled = Shown(fitted.points, None)
    rotations = Rotations(rounds=1, tilts=0)
    report = RunComparison(runs[:1], unlabelled, rotations=rotations).compare({})
    assert [table.caption for table in run_tables(report)] == ["Without labels"]
    assert "nan" not in run_markdown(report).lower()
    assert "Classes of" not in runs_page(report, shapes)


def test_what_does_not_fit_together_is_named(runs):
    fitted, _ = shown()
    with pytest.raises(ValueError, match="give runs of pcclust pretrain, or methods"):
        RunComparison([], fitted)
    with pytest.raises(ValueError, match="24 shapes cannot be put into 25 clusters"):
        RunComparison([], fitted, baselines=Baselines(("kmeans",), 25), encoder=RRIStatistics())
    with pytest.raises(ValueError, match="labels are needed on both sides or none"):
        RunComparison(runs, fitted, Shown(fitted.points, None))
    narrow = Shown(np.random.default_rng(0).normal(size=(9, 5)).astype(np.float32), None)
    with pytest.raises(ValueError, match=r"a: the run clusters features of 32 channels.*have 5"):
        RunComparison(runs[:1], narrow).compare({})
