"""Reports of clusterings: methods, seeds, held-out shapes, and numbers that must not be given."""

import json

import numpy as np
import pytest
import torch

from pcclust.cluster import KMeans, PCAWhitening, unit_length
from pcclust.cluster.contingency import fit_cluster_map
from pcclust.cluster.metrics import clustering_accuracy
from pcclust.evaluate.cluster_methods import METHODS, OWN
from pcclust.evaluate.clustering import clustering
from pcclust.report.clustering import clustering_markdown, clustering_table

LABELS = np.arange(90) % 3


def blobs(count=90, width=5, groups=3, far=12.0, seed=0):
    generator = np.random.default_rng(seed)
    centers = far * np.eye(width)[np.arange(count) % groups]
    return generator.normal(size=(count, width)) + centers


@pytest.mark.parametrize("method", [name for name in METHODS if name != OWN])
def test_every_method_finds_separate_groups(method):
    report = clustering(blobs(), LABELS, methods=[method], seeds=2)
    for measure in ("accuracy", "nmi", "ari", "class_mean_accuracy", "purity"):
        assert report.methods[0].mean_and_deviation(measure)[0] == pytest.approx(1)
    assert report.methods[0].mean_and_deviation("size_perplexity")[0] == pytest.approx(3)
    assert report.methods[0].mean_and_deviation("silhouette")[0] > 0.7
    assert len(report.methods[0].runs) == (2 if METHODS[method].seeded else 1)


@pytest.mark.parametrize("method", [name for name in METHODS if name != OWN])
def test_the_same_seed_gives_the_same_clusters(method):
    features = blobs(far=2)
    first, again = (
        clustering(features, n_clusters=6, methods=[method], seeds=1, seed=5).methods[0].runs[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first.clusters, again.clusters)
    assert first.measures == again.measures


def test_seeds_follow_each_other_and_are_averaged():
    report = clustering(blobs(far=1), LABELS, n_clusters=7, seeds=4, seed=10)
    runs = report.methods[0].runs
    assert [run.seed for run in runs] == [10, 11, 12, 13]
    for run in runs:
        model = KMeans(7, random_state=run.seed).fit(blobs(far=1))
        np.testing.assert_array_equal(run.clusters, model.labels_)
    values = [clustering_accuracy(LABELS, run.clusters) for run in runs]
    expected = (np.mean(values), np.std(values, ddof=1))
    assert report.methods[0].mean_and_deviation("accuracy") == pytest.approx(expected)
    cell = f"{100 * expected[0]:.1f} ± {100 * expected[1]:.1f}"
    assert ["ACC", cell] in clustering_table(report).rows


def test_features_are_whitened_and_brought_to_length_one():
    features = blobs()
    report = clustering(features, n_clusters=3, whiten=2, l2=True, seeds=1)
    np.testing.assert_allclose(
        report.space, unit_length(PCAWhitening(2).fit_transform(features)), atol=1e-12
    )
    assert report.settings["whiten"] == 2


def test_held_out_shapes_have_the_map_and_the_whitening_of_the_others():
    features, others = blobs(far=3), blobs(far=3, seed=1)
    # Most are of another class, so that a map fitted on them would be another one.
    test_labels = (LABELS + (np.arange(90) < 60)) % 3
    report = clustering(
        features, LABELS, whiten=3, l2=True, seeds=1, test=(torch.from_numpy(others), test_labels)
    )
    whitening = PCAWhitening(3).fit(features)
    model = KMeans(3, random_state=0).fit(unit_length(whitening.transform(features)))
    mapping = fit_cluster_map(LABELS, model.labels_)
    predicted = model.predict(unit_length(whitening.transform(others)))
    expected = clustering_accuracy(test_labels, predicted, mapping)
    assert report.methods[0].runs[0].test_measures["accuracy"] == pytest.approx(expected)
    assert expected < 0.5 < clustering_accuracy(test_labels, predicted)


@pytest.mark.parametrize("method", ["ward", "spectral", "hdbscan"])
def test_methods_without_a_rule_give_test_shapes_the_cluster_of_the_nearest(method):
    features, others = blobs(far=4), blobs(far=4, seed=2)
    report = clustering(features, LABELS, methods=[method], seeds=1, test=(others, LABELS))
    run = report.methods[0].runs[0]
    near = np.linalg.norm(others[:, None] - features, axis=2).argmin(axis=1)
    np.testing.assert_array_equal(run.test_clusters, run.clusters[near])
    assert any("in the cluster of the nearest other" in note for note in report.notes)
    assert any("fitted on the other shapes" in note for note in report.notes)


def test_noise_joins_the_nearest_shape_that_is_none():
    dense, far = blobs(groups=2), blobs(8, groups=2, seed=3) * 6  # so far out that it is noise
    report = clustering(np.concatenate([dense, far]), n_clusters=2, methods=["hdbscan"])
    clusters = report.methods[0].runs[0].clusters
    near = np.linalg.norm(far[:, None] - dense, axis=2).argmin(axis=1)
    assert len(np.unique(clusters)) == 2
    np.testing.assert_array_equal(clusters[90:], clusters[:90][near])
    assert any("as many clusters as are dense, here 2" in note for note in report.notes)


def test_noise_alone_is_one_cluster():
    noise = np.random.default_rng(0).normal(size=(12, 40))
    report = clustering(noise, n_clusters=2, methods=["hdbscan"])
    assert set(report.methods[0].runs[0].clusters) == {0}


def test_without_labels_nothing_is_measured_against_them():
    report = clustering(blobs(), n_clusters=3, seeds=2)
    assert set(report.methods[0].runs[0].measures) == {"silhouette", "size_perplexity"}
    assert report.n_classes is None
    assert "ACC" not in clustering_markdown(report)


def test_one_cluster_has_no_silhouette_and_other_numbers_of_clusters_are_noted():
    report = clustering(blobs(), LABELS, n_clusters=1, seeds=1)
    measures = report.methods[0].runs[0].measures
    assert "silhouette" not in measures
    assert measures["accuracy"] == pytest.approx(1 / 3)
    assert measures["nmi"] == 0
    assert any("1 clusters and 3 classes" in note for note in report.notes)


@pytest.mark.filterwarnings("ignore:only 2 of the 4 clusters")
def test_fewer_different_shapes_than_clusters_is_noted():
    report = clustering(np.repeat(np.eye(2), 8, axis=0), n_clusters=4, seeds=1)
    assert any("k-means found only 2 of 4 clusters" in note for note in report.notes)


def test_json_has_every_run_and_the_summary():
    report = clustering(
        blobs(), LABELS, methods=["kmeans", "ward"], seeds=2, about={"data": "blobs <&>"}
    )
    told = json.loads(report.to_json())
    assert (told["shapes"], told["dimensions"], told["clusters"], told["classes"]) == (90, 5, 3, 3)
    assert told["about"] == {"data": "blobs <&>"}
    first = told["methods"][0]
    assert [run["seed"] for run in first["runs"]] == [0, 1]
    assert first["runs"][0]["sizes"] == [30, 30, 30]
    assert first["mean_and_deviation"]["measures"]["accuracy"] == [1, 0]
    assert told["methods"][1]["mean_and_deviation"]["measures"]["accuracy"] == [1, None]


@pytest.mark.parametrize(
    ("features", "labels", "options", "message"),
    [
        (np.ones((1, 3)), None, {"n_clusters": 1}, "a single shape makes no clusters"),
        (blobs(), LABELS, {"n_clusters": 91}, "90 shapes cannot be put into 91 clusters"),
        (blobs(), LABELS, {"n_clusters": 0}, "90 shapes cannot be put into 0 clusters"),
        (np.ones((9, 3)), None, {"n_clusters": 2}, "features of all 9 shapes are equal"),
        (blobs(), None, {}, "without labels the number of clusters is not known"),
        (blobs(), LABELS - 1, {}, r"labels\[0\] is -1.*30 of 90 have none"),
        (blobs(), LABELS[:5], {}, "90 features, but 5 labels"),
        (blobs(), 0 * LABELS, {}, "all 90 labels are 0: agreement with a single class"),
        (
            blobs(),
            LABELS,
            {"methods": ["k-means"]},
            "methods .*kmeans, ward, spectral, self-tuning, own, gmm, hdbscan",
        ),
        (blobs(), LABELS, {"methods": []}, r"methods \[\]"),
        (blobs(), LABELS, {"seeds": 0}, "seeds=0"),
        (blobs(), LABELS, {"test": (blobs(), None)}, "labels are needed on both sides or none"),
        (blobs(), None, {"n_clusters": 3, "test": (blobs(), LABELS)}, "both sides or none"),
        (blobs(), LABELS, {"test": (blobs(width=4), LABELS)}, "4 dimensions, the others 5"),
        (blobs(), LABELS, {"test": (blobs(), LABELS[:4])}, "90 test features, but 4 test labels"),
        (blobs(4), [0, 1, 0, 1], {"n_clusters": 4, "methods": ["spectral"]}, "fewer clusters than"),
    ],
)
def test_wrong_input_is_named(features, labels, options, message):
    with pytest.raises(ValueError, match=message):
        clustering(features, labels, **options)


def test_a_missing_number_is_named_by_its_place():
    features = blobs()
    features[7, 2] = np.nan
    with pytest.raises(ValueError, match=r"features\[7\] holds NaN or inf: nan in column 2"):
        clustering(features, LABELS)
